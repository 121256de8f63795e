# Copyright (c) mmreid contributors. All rights reserved.
"""Runs all checks of a GPU, each in a process of its own with a time limit, and writes one table and one JSON file.

Configs run as shipped but for pretrained weights and the number of epochs, on procedural people. ``--rehearse`` runs
the same code on the CPU with narrow networks and small sizes; what only a GPU has (NCCL, SyncBN, compiled kernels) is
replaced by what stands for it there, so its numbers say nothing about a GPU.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import torch
from distributed import one_rank
from families import FAMILIES, train, write_data
from kernels import graph, matching, options, rank_and_rerank, unit_tests
from terminaltables import GithubFlavoredMarkdownTable

ROOT = Path(__file__).resolve().parents[2]
# Seconds that a check may take: planned on a GPU, and enough on a busy CPU.
GRACE = dict(gpu=1, rehearsal=4)


def checks(rehearse: bool) -> dict[str, tuple[Callable[[], dict], int]]:
    """Lists the checks with their limits in seconds."""
    listed: dict[str, tuple[Callable[[], dict], int]] = {
        f'train {name}': (partial(train, name, rehearse), 45) for name in FAMILIES
    }
    listed['options of a step'] = (partial(options, rehearse), 45)
    listed['one rank: NCCL, SyncBN'] = (partial(one_rank, rehearse), 60)
    listed['tests for GPUs'] = (partial(unit_tests, rehearse), 60)
    listed['matching'] = (partial(matching, rehearse), 60)
    for size in ('tenth',) if rehearse else ('market', 'msmt17'):
        listed[f'evaluation {size}'] = (partial(rank_and_rerank, size, rehearse), 60)
    listed['graph of classes'] = (partial(graph, 60 if rehearse else 8000, rehearse), 60)
    return listed


def run(name: str, job: Callable[[], dict], limit: float, out: Path) -> dict:
    """Runs a check in a fork; gives ``name``, ``result``, ``seconds`` and its ``numbers``."""
    log = out / f'{name.replace(" ", "-").replace(":", "").replace(",", "")}.log'
    context = multiprocessing.get_context('fork')
    ours, theirs = context.Pipe(duplex=False)
    process, start = context.Process(target=_child, args=(job, log, theirs)), time.perf_counter()
    process.start()
    theirs.close()
    numbers, result = {}, f'stopped after {limit:.0f} s'
    try:
        if ours.poll(limit):
            numbers, result = _answer(ours, log)
            process.join(10)
    finally:  # also when this process is asked to end
        if process.is_alive():
            with suppress(ProcessLookupError):  # not yet a group of its own
                os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            process.join()
    return dict(name=name, result=result, seconds=round(time.perf_counter() - start, 1), numbers=numbers)


def _answer(pipe, log: Path) -> tuple[dict, str]:
    try:
        return pipe.recv(), 'passed'
    except EOFError:  # it ended without an answer
        last = [line for line in log.read_text(errors='replace').splitlines() if line.strip()][-1:]
        return {}, f'failed: {"".join(last)[:150]}'


def _child(job: Callable[[], dict], log: Path, answer) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.setsid()  # with its workers, so that they end with it
    with open(log, 'w', encoding='utf-8') as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            numbers = job()
        except BaseException:
            traceback.print_exc(file=file)
            file.flush()
            os._exit(1)
        sys.stdout.flush()
    answer.send(numbers)
    os._exit(0)


def write(found: list[dict], facts: dict, out: Path) -> None:
    """Writes what was found so far."""
    (out / 'summary.json').write_text(json.dumps(dict(facts, checks=found), indent=1) + '\n')
    rows = [['check', 'result', 'seconds', 'numbers']]
    for entry in found:
        rows.append([entry['name'], entry['result'].replace('|', '/'), str(entry['seconds']), _cell(entry['numbers'])])
    title = f'{"Rehearsal of the" if facts["rehearsal"] else "The"} GPU check'
    said = ', '.join(f'{key} {value}' for key, value in facts.items() if key != 'rehearsal')
    (out / 'summary.md').write_text(f'# {title}\n\n{said}\n\n{GithubFlavoredMarkdownTable(rows).table}\n')


def _cell(numbers: dict) -> str:
    """Writes numbers, and numbers of numbers, in a line."""
    return '; '.join(f'{key}: {_cell(value) if isinstance(value, dict) else value}' for key, value in numbers.items())


def describe(rehearse: bool) -> dict:
    """Says what is measured, and where."""
    # The driver's tool, because this process must not use the GPU.
    device = 'CPU' if rehearse else _said('nvidia-smi', '--query-gpu=name', '--format=csv,noheader')
    commit = _said('git', '-C', str(ROOT), 'describe', '--always', '--dirty', '--match=-')
    return dict(rehearsal=rehearse, commit=commit, torch=torch.__version__, device=device, cores=os.cpu_count())


def _said(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return 'unknown'
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  the two above
    return done.stdout.strip() or 'unknown'


def main() -> int:
    """Runs the checks; returns how many failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('out', type=Path, help='folder of the results')
    parser.add_argument('--rehearse', action='store_true', help='on the CPU, shrunk')
    parser.add_argument('--only', help='only checks whose names contain this')
    args = parser.parse_args()
    if not args.rehearse and not torch.cuda.is_available():
        print('error: PyTorch finds no GPU; --rehearse runs the script without one', file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # ends the running check, too
    out = args.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    facts, found, grace = describe(args.rehearse), [], GRACE['rehearsal' if args.rehearse else 'gpu']
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        listed = {'data': (partial(write_data, args.rehearse), 60), **checks(args.rehearse)}
        for name, (job, limit) in listed.items():
            if args.only is None or args.only in name or name == 'data':
                found.append(run(name, job, limit * grace, out))
                print(f'{found[-1]["seconds"]:6.1f} s  {name}: {found[-1]["result"]}', flush=True)
                write(found, facts, out)
    failed = sum(entry['result'] != 'passed' for entry in found)
    print(f'{failed} of {len(found)} checks failed; summary.md, summary.json and the logs are in {out}')
    return failed


if __name__ == '__main__':
    sys.exit(main())
