# Copyright (c) mmreid contributors. All rights reserved.
"""Writes files that are either complete or absent, however the writing process ends."""

import contextlib
import functools
import os
import os.path as osp
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO

from .process_mark import is_left_over, may_run_here, process_mark

TMP_SUFFIX = '.mmreid.tmp'

Content = bytes | str | Callable[[BinaryIO], Any]


def ensure_new(paths: Iterable[Path], force: bool = False) -> None:
    """Refuses output files that exist or have no folder, before a tool does its work.

    Raises:
        FileExistsError: If one of them exists, unless ``force`` allows to replace it.
        FileNotFoundError: If the folder of one does not exist.
    """
    for path in paths:
        if path.exists() and not force:
            raise FileExistsError(f'{path} exists; give another name, or --force to replace it')
        if not path.parent.is_dir():
            raise FileNotFoundError(f'the folder {path.parent} does not exist; make it first')


def atomic_write(path: str | os.PathLike, content: Content) -> None:
    """Writes a file so that a reader sees the old content or the new one, never a part of it.

    The content goes to a temporary file in the same folder, is flushed to the disk, and is then renamed to ``path``.
    A process that is killed before that leaves ``path`` as it was, and a ``*.mmreid.tmp`` file beside it, which the
    next process that writes into this folder removes.

    Args:
        path (str or PathLike): The file to write. Its folder must exist.
        content (bytes, str or Callable): The bytes; a text, encoded as UTF-8; or a function that writes to the open
            binary file, e.g. ``lambda f: torch.save(state, f)``, which needs no second copy in memory.

    Raises:
        OSError: If the file cannot be written (no space, no permission, no folder). The temporary file is removed.

    Examples:
        >>> atomic_write('work_dirs/run/last_checkpoint', 'work_dirs/run/epoch_3.pth')
    """
    path = os.fspath(path)
    _remove_leftovers_once(osp.abspath(osp.dirname(path)))
    # Not tempfile.mkstemp: its files are readable by the owner only, and a checkpoint shared by a group would stay so.
    tmp_path = f'{path}.{process_mark()}-{uuid.uuid4().hex[:8]}{TMP_SUFFIX}'
    try:
        with open(tmp_path, 'xb') as file:
            if callable(content):
                content(file)
            else:
                file.write(content.encode('utf-8') if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(tmp_path, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.remove(tmp_path)
        # After a failed write, torch.save closes the file and fails again, with an error that hides the cause.
        if isinstance(error, RuntimeError) and isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise
    _sync_folder(osp.dirname(path) or '.')


def remove_stale_temporaries(folder: str | os.PathLike) -> list[str]:
    """Removes temporary files from a folder, except those that a process of this machine still writes.

    Call it only where no process of another machine writes to the folder, which may be absent. Returns the paths.
    """
    return _remove(path for path, mark in _temporaries(folder).items() if not may_run_here(mark))


@functools.cache
def _remove_leftovers_once(folder: str) -> None:
    """Removes temporary files of processes that have ended, once per process."""
    _remove(path for path, mark in _temporaries(folder).items() if is_left_over(path, mark))


def _temporaries(folder: str | os.PathLike) -> dict[str, str]:
    """Lists temporary files, sorted, with the mark of the process that writes each; '' where there is none."""
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(TMP_SUFFIX))
    except OSError:  # no such folder, or one that cannot be listed
        return {}
    marks = [name.removesuffix(TMP_SUFFIX).rpartition('.')[2].rpartition('-')[0] for name in names]
    return {osp.join(folder, name): mark if '-' in mark else '' for name, mark in zip(names, marks, strict=True)}


def _remove(paths: Iterable[str]) -> list[str]:
    removed = []
    for path in paths:
        with contextlib.suppress(OSError):
            os.remove(path)
            removed.append(path)
    return removed


def _sync_folder(folder: str) -> None:
    """Makes a rename in a folder survive a power failure."""
    # Windows cannot open a folder and some network file systems refuse to sync one; the rename itself is done by now.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
