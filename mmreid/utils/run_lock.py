# Copyright (c) mmreid contributors. All rights reserved.
"""Reserves folders for one run at a time."""

import contextlib
import errno
import functools
import logging
import os
import os.path as osp
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.logging import print_log

LOCK_NAME = '.mmreid.lock'
SECONDS = 1.0  # how long to wait for a run that is about to end
_BUSY = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK)
_PLACE = 1 << 30  # the byte that Windows locks; it is behind the text, because a locked byte cannot be read
_held: set[int] = set()


class FolderInUseError(RuntimeError):
    """Another run works in the folder; the message names that run."""


@contextlib.contextmanager
def run_lock(folder: str | os.PathLike) -> Iterator[None]:
    """Keeps other runs out of an existing folder until the block ends or the process dies, even by ``kill -9``.

    The lock is the operating system's, on the file ``.mmreid.lock`` in the folder, which names its holder. On a file
    system without locks, a warning says so and the block runs all the same.

    Raises:
        FolderInUseError: If another run holds it.
    """
    path = osp.join(folder, LOCK_NAME)
    descriptor = _take(path, time.monotonic() + SECONDS)
    try:
        yield
    finally:
        if descriptor in _held:  # not in a forked child
            with contextlib.suppress(OSError):
                os.remove(path)  # before the lock is released, or the file might be the next run's
            _held.discard(descriptor)
            os.close(descriptor)


@contextlib.contextmanager
def run_lock_of_ranks(folders: Sequence[str]) -> Iterator[None]:
    """Keeps other runs out of folders: rank 0 holds their :func:`run_lock`; if it cannot, all ranks raise.

    Args:
        folders (Sequence[str]): The folders, created if missing; one under two names is locked once.

    Raises:
        FolderInUseError: If another run holds one of them.
        RuntimeError: If one of them cannot be created or written to.
    """
    with contextlib.ExitStack() as stack:
        refusal: list[tuple[type[RuntimeError], str] | None] = [None]
        if is_main_process():
            refusal[0] = _enter_all(stack, folders)
        broadcast_object_list(refusal)
        if refusal[0] is not None:
            kind, text = refusal[0]
            raise kind(text)
        yield


def keeps_own_folders(method: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps a method of a runner so that it runs with ``runner.own_folders()`` locked."""

    @functools.wraps(method)
    def wrapped(runner: Any, *args: Any, **kwargs: Any) -> Any:
        with run_lock_of_ranks(runner.own_folders()):
            return method(runner, *args, **kwargs)

    return wrapped


def _enter_all(stack: contextlib.ExitStack, folders: Sequence[str]) -> tuple[type[RuntimeError], str] | None:
    """Takes the locks of all folders; returns class and text of the error if one is refused."""
    held: list[str] = []
    for folder in folders:
        try:
            os.makedirs(folder, exist_ok=True)
            if not any(osp.samefile(folder, other) for other in held):
                stack.enter_context(run_lock(folder))
                held.append(folder)
        except FolderInUseError as error:
            return FolderInUseError, str(error)
        except OSError as error:
            return RuntimeError, (
                f'{folder} cannot be written to ({error.strerror}: {error.filename}); set work_dir or '
                'default_hooks.checkpoint.out_dir to a folder you can write to'
            )
    return None


def _take(path: str, end: float) -> int | None:
    """Opens and locks the file; returns None where the file system has no locks."""
    _close_in_forks()
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(descriptor)
        except OSError as error:
            holder = os.pread(descriptor, 500, 0) if hasattr(os, 'pread') else os.read(descriptor, 500)
            os.close(descriptor)
            if error.errno not in _BUSY:
                print_log(
                    f'{path} cannot be locked on this file system ({error.strerror}), so a second run in the '
                    'same folder goes unnoticed',
                    'current',
                    logging.WARNING,
                )
                return None
            if time.monotonic() > end:
                who = holder.decode(errors='replace').partition('\n')[0] or 'another process'
                raise FolderInUseError(
                    f'{osp.dirname(path) or "."} is in use by {who}; wait for it to end, stop it, or choose another '
                    'folder'
                ) from None
            time.sleep(0.05)
            continue
        if _is_still(path, descriptor):
            break
        os.close(descriptor)  # the previous run has just ended and removed it
    os.ftruncate(descriptor, 0)
    began = time.strftime('%Y-%m-%d %H:%M:%S')
    os.write(descriptor, f'process {os.getpid()} on {platform.node()}, which began on {began}\n'.encode())
    _held.add(descriptor)
    return descriptor


def _lock(descriptor: int) -> None:
    if os.name == 'posix':
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    else:
        import msvcrt

        os.lseek(descriptor, _PLACE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)


def _is_still(path: str, descriptor: int) -> bool:
    try:
        return osp.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


@functools.cache
def _close_in_forks() -> None:
    """Makes forked children, such as dataloader workers, release the locks, which would else outlive a killed run."""
    if hasattr(os, 'register_at_fork'):
        os.register_at_fork(after_in_child=_close_all)


def _close_all() -> None:
    while _held:
        with contextlib.suppress(OSError):
            os.close(_held.pop())
