# Copyright (c) mmreid contributors. All rights reserved.
"""Starts a tool as several processes, as torchrun does, and reports once, at the end, why they failed.

``python tools/launch.py [options of torchrun] TOOL [arguments]``. The console shows the first process. With
``MMREID_TRACEBACK=1`` everything is shown, as by torchrun.
"""

import json
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

REPORTS = 'MMREID_REPORTS'  # asks the ranks for reports, see mmreid/utils/one_line_errors.py
SHOWN_LINES = 30


def main() -> int:
    """Runs the processes to their end; returns the exit status, that of the process that failed."""
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    if os.environ.get('MMREID_TRACEBACK'):
        run.main(sys.argv[1:])
        return 0
    args = run.parse_args(sys.argv[1:])
    logging.disable(logging.ERROR)  # torchrun would report the same as below
    os.environ[REPORTS] = '1'
    with tempfile.TemporaryDirectory(prefix='mmreid_ranks_') as folder:
        args.log_dir = folder
        processes = run.determine_local_world_size(args.nproc_per_node)  # of a number, or of gpu, cpu and auto
        args.redirects = ','.join(f'{rank}:3' for rank in range(1, processes)) or '0'
        try:
            run.run(args)
        except ChildFailedError as error:
            failures = {failure.local_rank: failure.exitcode for failure in error.failures.values()}
            text, status = describe_failure(Path(folder), failures)
        except SignalException as error:
            text, status = _report(Path(folder), 'stopped') or 'stopped', 128 + error.sigval
        else:
            return 0
    if text:
        print(f'\n{text}', file=sys.stderr, flush=True)
    return status


def describe_failure(folder: Path, failures: Mapping[int, int]) -> tuple[str, int]:
    """Says why processes failed: what the first of them reported, or what is known otherwise.

    Args:
        folder (Path): Where torchrun keeps reports and output.
        failures (Mapping[int, int]): Exit status by local process rank; negative for a signal.

    Returns:
        tuple[str, int]: The text, empty if the console already has it, and the exit status.
    """
    reported = _report(folder, 'error')
    # torchrun ends the others by SIGTERM.
    by_torchrun = (-signal.SIGTERM, 128 + signal.SIGTERM)
    rank, status = max(failures.items(), key=lambda item: (item[1] not in by_torchrun, item[1]))
    status = status if status > 0 else 128 - status
    if reported or 0 in (said['rank'] for said in _reports(folder, 'said')):
        return reported, status
    if status <= 128:
        return f'error: process {rank} failed{_output(folder, rank)}', status
    name = signal.Signals(status - 128).name
    hint = ', as the system does if memory runs out' if name == 'SIGKILL' else ''
    return f'error: process {rank} was ended by {name}{hint}{_output(folder, rank)}', status


def _report(folder: Path, kind: str) -> str:
    """Returns the message of the earliest report of a kind, or an empty text."""
    return min(_reports(folder, kind), key=lambda report: report['timestamp'], default=dict(message=''))['message']


def _reports(folder: Path, kind: str) -> list[dict[str, Any]]:
    """Reads the reports of a kind: ``'error'``, ``'stopped'``, or ``'said'`` if the process told the user itself."""
    found = []
    for path in sorted(folder.glob('*/attempt_*/*/error.json')):
        report = json.loads(path.read_text(encoding='utf-8'))
        if report.get('kind') == kind:
            found.append(report | dict(rank=int(path.parent.name)))
    return found


def _output(folder: Path, rank: int) -> str:
    """Returns the last lines that a process wrote, unless the console has them."""
    lines = [line for path in folder.glob(f'*/attempt_*/{rank}/stderr.log') for line in path.read_text().splitlines()]
    return '; its last output:\n' + '\n'.join(lines[-SHOWN_LINES:]) if rank and lines else ''


if __name__ == '__main__':
    try:
        sys.exit(main())
    except KeyboardInterrupt:  # before torchrun listens
        sys.exit(128 + signal.SIGINT)
