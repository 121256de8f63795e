# Copyright (c) mmreid contributors. All rights reserved.
"""Names in which a process leaves its mark, so that others can tell whether it is over."""

import functools
import hashlib
import os
import platform
import re
import time
from pathlib import Path

STALE_SECONDS = 3600  # age from which what an unknown process left counts as left over
MARK = re.compile(r'(?P<pid>\d+)(?:-(?P<machine>[0-9a-f]{8})-(?P<start>\d+))?')  # earlier versions left the id alone


def process_mark() -> str:
    """Gives a text for file names that belongs to this process alone: its id, its machine, and when it started."""
    pid = os.getpid()
    return f'{pid}-{_machine()}-{_state_and_start(pid)[1]}'


def may_run_here(mark: str) -> bool:
    """Tells whether a process of this machine is still at work.

    Args:
        mark (str): What :func:`process_mark` gave in that process; a bare process id is one of this machine.

    Returns:
        bool: False if it is over, or if it is a process of another machine or container, or of an earlier boot.
    """
    match = MARK.fullmatch(mark)
    if match is None or match['machine'] not in (None, _machine()):
        return False
    return _is_running(int(match['pid']), match['start'])


def is_left_over(path: str | os.PathLike, mark: str) -> bool:
    """Tells whether the process that was writing a file or folder is over.

    Where that cannot be known for certain, as of another machine, what nobody has touched for ``STALE_SECONDS`` counts
    as left over.

    Args:
        path (str | PathLike): The file or folder.
        mark (str): The mark in its name.

    Returns:
        bool: Whether it may be removed; False if it is gone.
    """
    if may_run_here(mark):
        return False
    match = MARK.fullmatch(mark)
    if match is not None and match['machine'] == _machine() and os.name == 'posix':
        return True
    try:
        return time.time() - os.stat(path).st_mtime > STALE_SECONDS
    except FileNotFoundError:
        return False


@functools.cache
def _machine() -> str:
    """Tells machines, their boots and their containers apart, each of which counts processes anew."""
    parts = [platform.node()]
    for path in ('/proc/sys/kernel/random/boot_id', '/proc/self/ns/pid'):  # on Linux
        try:
            parts.append(os.readlink(path) if os.path.islink(path) else Path(path).read_text())
        except OSError:
            parts.append('')
    return hashlib.sha256('\n'.join(parts).encode()).hexdigest()[:8]


def _state_and_start(pid: int) -> tuple[str, str]:
    """Reads the state of a process and when it started, in ticks since the boot; ('', '0') where nobody tells."""
    try:
        fields = Path(f'/proc/{pid}/stat').read_text(errors='replace').rpartition(')')[2].split()
        return fields[0], fields[19]
    except (OSError, IndexError):
        return '', '0'


def _is_running(pid: int, start: str | None) -> bool:
    if os.name != 'posix':  # where asking would end the process
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    state, found = _state_and_start(pid)
    # A dead one that its parent has not asked about; or another process that got the same number.
    return state != 'Z' and (start in (None, '0') or found in ('0', start))
