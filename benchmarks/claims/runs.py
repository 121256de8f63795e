# Copyright (c) mmreid contributors. All rights reserved.
"""What comparisons of trainings need: one thread, a process of its own for each run, the warm start, the floors."""

import json
import multiprocessing
import os
import resource
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import torch
from claims.results import Results
from mmengine.config import Config

from mmreid.engine import ReIDRunner
from mmreid.registry import RUNNERS

ROOT = Path(__file__).resolve().parents[2]
# Freed activations are kept instead of being handed back to the system after each step, see tools/quickstart.sh.
ENVIRONMENT = {
    'OMP_NUM_THREADS': '1',
    'MALLOC_MMAP_THRESHOLD_': '1073741824',
    'MALLOC_TRIM_THRESHOLD_': '4294967296',
}


def ensure_environment() -> None:
    """Starts the running script again with ``ENVIRONMENT``, unless it has it; call it first."""
    if any(os.environ.get(name) != value for name, value in ENVIRONMENT.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | ENVIRONMENT)  # noqa: S606  this program again


def apart(job: Callable[[], dict], log: Path) -> dict:
    """Runs a job in a forked process on one thread.

    Args:
        job (Callable[[], dict]): What to run; its result must be JSON.
        log (Path): Where its output goes.

    Returns:
        dict: The result, with ``wall`` and ``cpu``, in seconds.

    Raises:
        RuntimeError: If it fails.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    result = log.with_suffix('.json')
    result.unlink(missing_ok=True)
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    process = multiprocessing.get_context('fork').Process(target=_child, args=(job, log, result))
    process.start()
    process.join()
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.exitcode:
        raise RuntimeError(f'a run ended with status {process.exitcode}; the reason is at the end of {log}')
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return dict(json.loads(result.read_text()), wall=round(wall, 1), cpu=round(cpu, 1))


def once(results: Results, seed: int, row: str, job: Callable[[], dict], log: Path, **same) -> dict:
    """Runs a job apart and writes its result down, unless it is there.

    Args:
        results (Results): The finished runs.
        seed (int): Seed of the run.
        row (str): Row of the run.
        job (Callable[[], dict]): See :func:`apart`.
        log (Path): See :func:`apart`.
        **same: Further values that a finished run must have to count, written down with it.

    Returns:
        dict: The line of the run.
    """
    return results.find(seed, row, **same) or results.add(seed, row, **same, **apart(job, log))


def told(done: dict) -> str:
    """Says in short what came out of a run."""
    return f'{done["mAP"]:.1f} mAP' if 'mAP' in done else 'done'


def folder_name(row: str) -> str:
    """Names the folder of a row."""
    return ''.join(letter if letter.isalnum() else '-' for letter in row)


def run_row(
    results: Results,
    seed: int,
    row: str,
    job: Callable[[Path], dict],
    folder: Path,
    tell: Callable[[dict], str] = told,
    **same,
) -> dict:
    """Runs a row of a comparison in a folder of its own, see :func:`once`, and says what came out.

    Args:
        results (Results): The finished runs.
        seed (int): Seed of the run.
        row (str): Row of the run.
        job (Callable[[Path], dict]): Takes the folder of the run.
        folder (Path): Of the seed; the run and its log go there.
        tell (Callable[[dict], str]): Says in short what came out. Defaults to the mAP.
        **same: See :func:`once`.

    Returns:
        dict: The line of the run.
    """
    run_dir = folder / folder_name(row)
    done = once(results, seed, row, lambda: job(run_dir), run_dir.with_name(f'{run_dir.name}.log'), **same)
    print(f'seed {seed}, {row}: {tell(done)} ({done["cpu"]:.0f} s)', flush=True)
    return done


def end_of(work_dir: Path, train: Callable[[], object]) -> Path:
    """Finds the last checkpoint of a run, which is trained first if it is not there."""
    last = work_dir / 'last_checkpoint'
    if not last.is_file():
        train()
    return Path(last.read_text().strip())


def _child(job: Callable[[], dict], log: Path, result: Path) -> None:
    with log.open('w') as file:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), stream.fileno())
        torch.set_num_threads(1)
        try:
            result.write_text(json.dumps(job()))
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            raise
        finally:
            sys.stdout.flush()


def warm_start(work_dir: Path, train: bool = True) -> Path:
    """Trains the common warm start, or finds it.

    Args:
        work_dir (Path): Where weights and people of the pre-training go.
        train (bool): Whether to train it if it is not there. Defaults to True.

    Returns:
        Path: The weights of the backbone.

    Raises:
        RuntimeError: If the training fails.
    """
    script = ROOT / 'benchmarks/warm_start/train_warm_start.py'
    command = [sys.executable, str(script), '--out-dir', str(work_dir / 'warm_start'), *([] if train else ['--path'])]
    done = subprocess.run([*command, '--data-root', str(work_dir / 'pretrain')], stdout=subprocess.PIPE, text=True)  # noqa: S603  a list of our own words
    if done.returncode:
        raise RuntimeError('the warm start was not trained; the reason stands above')
    return Path(done.stdout.splitlines()[-1])


def build(cfg: Config, work_dir: Path) -> ReIDRunner:
    """Builds the runner, and writes its config where ``tools/train.py`` can run it again."""
    cfg.work_dir = str(work_dir)
    cfg.experiment_name = str(work_dir).replace('/', '_')  # MMEngine keeps one logger for each name and process
    work_dir.mkdir(parents=True, exist_ok=True)
    return RUNNERS.get(cfg.get('runner_type', 'ReIDRunner')).from_cfg(cfg)
