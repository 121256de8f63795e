# Copyright (c) mmreid contributors. All rights reserved.
"""Processes that have everything imported when they start: forks of a clean one, instead of seconds of imports each.

Like any fork of one process they share the seed of Python's hashes. What must not depend on it, as a resumed run, is
tested with :func:`test_tools.tool_runs.run`.
"""

import gc
import importlib
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from multiprocessing.connection import wait
from pathlib import Path

from tiny_config import ROOT
from torch.distributed import TCPStore

_CONTEXT = multiprocessing.get_context('forkserver')
_CONTEXT.set_forkserver_preload(
    ['mmreid.engine', 'mmreid.models', 'mmreid.evaluation', 'mmreid.datasets', 'matplotlib.backends.backend_agg']
)
_PATHS = [str(ROOT), str(ROOT / 'tests')]
_SECONDS = 240


def run_warm(
    script: str, *arguments: str | Path, check: bool = True, kill_after: float | None = None, **env: str
) -> subprocess.CompletedProcess:
    """Runs a tool, or another script, as ``python script arguments`` would.

    Args:
        script (str): The file, relative to the root of the checkout.
        *arguments (str | Path): Its arguments.
        check (bool): Fail the test if the script fails. Defaults to True.
        kill_after (float, optional): Seconds after which it is killed with SIGKILL, if it still runs.
        **env (str): Further environment variables.

    Returns:
        subprocess.CompletedProcess: With its output as text, stderr within stdout.
    """
    return _run([env], script, arguments, check, kill_after)


def run_ranks(
    count: int,
    script: str,
    *arguments: str | Path,
    check: bool = True,
    kill_after: float | None = None,
    **env: str,
) -> subprocess.CompletedProcess:
    """Runs a script as several ranks, as ``torchrun --standalone`` would; when one fails, the others are killed.

    Args:
        count (int): Number of ranks.
        script (str): See :func:`run_warm`.
        *arguments (str | Path): See :func:`run_warm`.
        check (bool): See :func:`run_warm`.
        kill_after (float, optional): See :func:`run_warm`; all of them are killed.
        **env (str): See :func:`run_warm`.

    Returns:
        subprocess.CompletedProcess: With what all ranks wrote; the exit status is that of the first that failed.
    """
    store = TCPStore('127.0.0.1', 0, is_master=True, wait_for_workers=False)
    shared = dict(MASTER_ADDR='127.0.0.1', MASTER_PORT=store.port, WORLD_SIZE=count, LOCAL_WORLD_SIZE=count)
    shared |= dict(env, TORCHELASTIC_USE_AGENT_STORE=True, TORCHELASTIC_RESTART_COUNT=0)
    return _run(
        [dict(shared, RANK=rank, LOCAL_RANK=rank) for rank in range(count)], script, arguments, check, kill_after
    )


def _run(
    environments: list[dict], script: str, arguments: tuple, check: bool, kill_after: float | None
) -> subprocess.CompletedProcess:
    command = [script, *map(str, arguments)]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / 'log'
        log.touch()
        processes = [_start(command, environment, log) for environment in environments]
        status = _wait(processes, kill_after)
        output = log.read_text(errors='replace')
    assert not check or status == 0, output[-4000:]
    return subprocess.CompletedProcess(command, status, output)


def _start(command: list[str], environment: dict, log: Path) -> multiprocessing.Process:
    same = {**os.environ, 'PYTHONPATH': os.pathsep.join(_PATHS), 'PYTHON': sys.executable, 'OMP_NUM_THREADS': '1'}
    environment = same | {name: str(value) for name, value in environment.items()}
    process = _CONTEXT.Process(target=_child, args=(command, environment, str(log)))
    process.start()
    return process


def _wait(processes: list[multiprocessing.Process], kill_after: float | None) -> int:
    running = {process.sentinel: process for process in processes}
    status, end = 0, time.monotonic() + (_SECONDS if kill_after is None else kill_after)
    try:
        while running and not status:
            done = wait(running, timeout=max(0, end - time.monotonic()))
            assert done or kill_after is not None, f'still running after {_SECONDS} s'
            status = status if done else -signal.SIGKILL
            for sentinel in done:
                process = running.pop(sentinel)
                process.join()
                status = status or process.exitcode
    finally:
        for process in running.values():
            process.kill()
            process.join()
    return status


def _child(command: list[str], environment: dict[str, str], log: str) -> None:
    gc.freeze()  # see conftest.py
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(ROOT)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream, target in ((0, os.open(os.devnull, os.O_RDONLY)), (1, output), (2, output)):
        os.dup2(target, stream)
    sys.argv = command
    sys.path[:0] = [str(ROOT / Path(command[0]).parent), *_PATHS]
    importlib.import_module('mmengine.config.config').FormatCode = lambda text, **_: (text, True)  # see conftest.py
    runpy.run_path(command[0], run_name='__main__')
