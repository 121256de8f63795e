# Copyright (c) mmreid contributors. All rights reserved.
"""Explains why a checkpoint could not be saved."""

import errno
import os.path as osp
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from mmreid.utils.one_line_errors import NO_ROOM

_CAUSES = {
    errno.ENOSPC: 'no space left on the disk',
    errno.EFBIG: 'the file would exceed the largest size allowed here',
    errno.EACCES: 'no permission to write there',
    errno.EPERM: 'no permission to write there',
    errno.EROFS: 'the file system is read-only',
    errno.ENOTDIR: 'a part of the path is a file, not a folder',
    errno.EEXIST: 'a part of the path is a file, not a folder',
}
if hasattr(errno, 'EDQUOT'):  # absent on Windows
    _CAUSES[errno.EDQUOT] = 'the disk quota is used up'


@contextmanager
def save_failure_explained(what: str, out_dir: str, work_dir: str) -> Iterator[None]:
    """Turns an ``OSError`` into one sentence with the path, the cause, what is safe, and the remedy.

    Args:
        what (str): What is being saved, with its path.
        out_dir (str): Folder of the checkpoints.
        work_dir (str): Folder of ``last_checkpoint``.

    Raises:
        RuntimeError: In place of the ``OSError``.
    """
    try:
        yield
    except OSError as error:
        cause = _CAUSES.get(error.errno, str(error))
        if error.errno in NO_ROOM:
            with suppress(OSError):
                cause += f', {shutil.disk_usage(out_dir).free / 2**20:.0f} MiB are free'
            remedy = 'free some space, lower max_keep_ckpts, or set default_hooks.checkpoint.out_dir elsewhere'
        else:
            remedy = 'set work_dir or default_hooks.checkpoint.out_dir to a folder you can write to'
        pointer = osp.join(work_dir, 'last_checkpoint')
        safe = 'no earlier checkpoint exists'
        if osp.isfile(pointer):
            with open(pointer, encoding='utf-8') as file:
                safe = f'the previous checkpoint {file.read().strip()!r} is intact'
        raise RuntimeError(
            f'Cannot save {what}: {cause} ({errno.errorcode.get(error.errno, "no errno")}); '
            f'{safe}; {remedy}, then run again with --resume.'
        ) from error
