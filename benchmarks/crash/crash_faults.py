# Copyright (c) mmreid contributors. All rights reserved.
"""Kills or halts a training at one of its file operations, lets its disk fill up there, or turns its clock.

The configs of the harness import this module; the environment variable :data:`VARIABLE` says what should happen. Only
what Python does to files in the work dir counts: making, writing, syncing, renaming and removing them. Lines of logs
are left out, for there are hundreds; logs being opened are not.
"""

import builtins
import errno
import io
import json
import os
import resource
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps

VARIABLE = 'MMREID_CRASH'
LOGS = ('.log', 'scalars.json')
NEED_ROOM = {'open', 'write', 'fsync', 'mkdir', 'replace', 'rename'}
_REAL = dict(open=builtins.open, os_open=os.open, time=time.time, localtime=time.localtime, strftime=time.strftime)


class Faults:
    """What happens to one process.

    Args:
        folder (str): The work dir.
        rank (int, optional): The only rank that counts. Defaults to all.
        only (Sequence[str], optional): The only operation that counts, and how its path in the work dir begins.
        at (int): Number of the operation at which something happens, from 1. Defaults to 0: nothing does.
        when (str): ``'before'`` it, ``'after'`` it, or ``'within'``: after half of what is written. Defaults to
            ``'before'``.
        full (bool): The disk is full from this operation on, instead of a kill. Defaults to False.
        wait (str, optional): File outside the work dir that is waited for, instead of a kill.
        record (str, optional): File outside the work dir that gets a line for each operation.
    """

    def __init__(
        self,
        folder: str,
        rank: int | None = None,
        only: Sequence[str] | None = None,
        at: int = 0,
        when: str = 'before',
        full: bool = False,
        wait: str | None = None,
        record: str | None = None,
    ) -> None:
        self.folder, self.at, self.when, self.full = os.path.abspath(folder), at, when, full
        self.only, self.wait, self.record = only, wait, record
        self.process, self.count = os.getpid(), 0
        self.is_counted = rank is None or rank == int(os.environ.get('RANK', 0))

    def concerns(self, path: str) -> bool:
        """Tells whether a path is in the work dir; workers of a loader, which are forks, are left alone."""
        path = os.path.abspath(path)
        inside = path == self.folder or path.startswith(self.folder + os.sep)
        return inside and self.is_counted and os.getpid() == self.process

    @contextmanager
    def around(self, name: str, path: str, half: Callable[[], object] = bool) -> Iterator[None]:
        """Surrounds an operation, which ``half`` would do by half."""
        if not self.concerns(path):
            yield
            return
        inside = os.path.relpath(path, self.folder)
        counted = name != 'write' or not path.endswith(LOGS)
        if self.only:
            counted = counted and name == self.only[0] and inside.startswith(self.only[1])
        self.count += counted
        if self.record and counted:
            with _REAL['open'](self.record, 'a') as file:
                file.write(json.dumps([name, inside]) + '\n')
        if self.full and 0 < self.at <= self.count and name in NEED_ROOM:
            half()
            named = [] if name in ('write', 'fsync') else [path]  # as the system does
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), *named)
        hit = counted and not self.full and self.count == self.at
        if hit and self.when != 'after':
            if self.when == 'within':
                half()
            self._strike()
        yield
        if hit:
            self._strike()

    def _strike(self) -> None:
        if self.wait is None:
            os.kill(os.getpid(), signal.SIGKILL)
        while not os.path.exists(self.wait):
            time.sleep(0.05)


def install(faults: Faults) -> None:
    """Replaces what Python opens, renames and removes files with."""

    class Raw(io.FileIO):
        def write(self, data) -> int:
            with faults.around('write', self.name, lambda: super(Raw, self).write(bytes(data)[: len(data) // 2])):
                return super().write(data)

    @wraps(_REAL['open'])
    def opened(file, mode='r', buffering=-1, encoding=None, errors=None, newline=None, closefd=True, opener=None):
        is_path = isinstance(file, (str, os.PathLike))
        if not (is_path and opener is None and set(mode) & set('wxa') and faults.concerns(os.fspath(file))):
            return _REAL['open'](file, mode, buffering, encoding, errors, newline, closefd, opener)
        path = os.fspath(file)
        with faults.around('open', path):
            raw = Raw(path, mode.replace('b', '').replace('t', ''))
        if buffering == 0:
            return raw
        buffer = io.BufferedRandom(raw) if '+' in mode else io.BufferedWriter(raw)
        return buffer if 'b' in mode else io.TextIOWrapper(buffer, encoding, errors, newline, buffering == 1)

    @wraps(_REAL['os_open'])
    def os_opened(path, flags, mode=0o777, *, dir_fd=None):
        if not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return _REAL['os_open'](path, flags, mode, dir_fd=dir_fd)
        with faults.around('open', _absolute(path, dir_fd)):
            return _REAL['os_open'](path, flags, mode, dir_fd=dir_fd)

    def replaced(name: str, place: int) -> None:
        real = getattr(os, name)

        @wraps(real)
        def call(*arguments, **named):
            with faults.around(name, _absolute(arguments[place], named.get('dir_fd'))):
                return real(*arguments, **named)

        setattr(os, name, call)

    builtins.open = io.open = opened
    os.open = os_opened
    for name in ('remove', 'unlink', 'mkdir', 'rmdir', 'truncate', 'fsync'):
        replaced(name, 0)
    for name in ('rename', 'replace', 'link'):
        replaced(name, 1)


def turn_clock(seconds: float) -> None:
    """Lets the functions of ``time`` tell another time; ``TZ`` changes the zone beside."""
    time.time = lambda: _REAL['time']() + seconds
    time.localtime = lambda moment=None: _REAL['localtime'](time.time() if moment is None else moment)
    time.strftime = lambda form, moment=None: _REAL['strftime'](form, time.localtime() if moment is None else moment)
    time.tzset()


def _absolute(path: str | bytes | os.PathLike | int, folder: int | None) -> str:
    if isinstance(path, int):
        return os.readlink(f'/proc/self/fd/{path}')
    path = os.fsdecode(path)
    return path if folder is None else os.path.join(os.readlink(f'/proc/self/fd/{folder}'), path)


def _begin(specs: list[dict]) -> None:
    """Installs what concerns this process: one entry for all ranks, or one for each."""
    spec = specs[int(os.environ.get('RANK', 0)) if len(specs) > 1 else 0]
    turn_clock(spec.pop('clock', 0))
    size = spec.pop('file_size', None)
    if size is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    install(Faults(**spec))


if VARIABLE in os.environ:
    _begin(json.loads(os.environ[VARIABLE]))
