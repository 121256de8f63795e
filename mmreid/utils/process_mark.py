# Copyright (c) mmreid contributors. All rights reserved.
"""Marks file names with the process that writes them, so that others can tell whether it has ended."""

import functools
import hashlib
import os
import platform
import re
import time
from pathlib import Path

STALE_SECONDS = 3600  # age from which files of unknown processes count as left over
MARK = re.compile(r'(?P<pid>\d+)(?:-(?P<machine>[0-9a-f]{8})-(?P<start>\d+))?')  # earlier versions wrote the id only


def process_mark() -> str:
    """Returns a text for file names that belongs to this process alone: its id, its machine and when it started."""
    pid = os.getpid()
    return f'{pid}-{_machine()}-{_state_and_start(pid)[1]}'


def may_run_here(mark: str) -> bool:
    """Whether the process with this mark still runs on this machine.

    False for an ended one, and for one of another machine, another container or an earlier boot.
    A bare process id counts as one of this machine.
    """
    match = MARK.fullmatch(mark)
    if match is None or match['machine'] not in (None, _machine()):
        return False
    return _is_running(int(match['pid']), match['start'])


def is_left_over(path: str | os.PathLike, mark: str) -> bool:
    """Whether the process that was writing a file or folder has ended, so that it may be removed.

    Where that cannot be known, as for another machine, the answer is yes if nothing has touched it for
    ``STALE_SECONDS``. False if it is gone.
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
    """Identifies the machine, its boot and the container, each of which numbers processes anew."""
    parts = [platform.node()]
    for path in ('/proc/sys/kernel/random/boot_id', '/proc/self/ns/pid'):  # on Linux
        try:
            parts.append(os.readlink(path) if os.path.islink(path) else Path(path).read_text())
        except OSError:
            parts.append('')
    return hashlib.sha256('\n'.join(parts).encode()).hexdigest()[:8]


def _state_and_start(pid: int) -> tuple[str, str]:
    """Reads the state of a process and its start, in ticks since boot; ('', '0') where that is unknown."""
    try:
        fields = Path(f'/proc/{pid}/stat').read_text(errors='replace').rpartition(')')[2].split()
        return fields[0], fields[19]
    except (OSError, IndexError):
        return '', '0'


def _is_running(pid: int, start: str | None) -> bool:
    if os.name != 'posix':  # on Windows, os.kill would end the process
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    state, found = _state_and_start(pid)
    # 'Z' is a dead process that its parent has not collected; another start is another process with the same id.
    return state != 'Z' and (start in (None, '0') or found in ('0', start))
