# Copyright (c) mmreid contributors. All rights reserved.
"""Keeps the checkpoints of an earlier run apart from those of a new one in the same folder."""

import os
import os.path as osp
import time
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from mmengine.dist import barrier, is_main_process
from mmengine.runner import Runner

FOLDER = 'earlier'
PATTERNS = ('epoch_*.pth', 'iter_*.pth', 'best_*.pth', 'last_checkpoint')


def set_aside_earlier_run(runner: Runner, folders: Sequence[str], filename: str, resumed: str = '') -> None:
    """Moves the checkpoints of an earlier run into ``earlier/<date>``, unless this one goes on from them.

    All ranks must call it.

    Args:
        runner (Runner): The runner of a training that begins.
        folders (Sequence[str]): Local folders of its checkpoints; they may be absent.
        filename (str): Their name, with ``{}`` for the number.
        resumed (str): The checkpoint that the run goes on from, if it was named; a foreign one is no reason to keep
            what is there. Defaults to ''.
    """
    here = {osp.realpath(folder) for folder in folders}
    if runner.iter > 0 and (not resumed or osp.realpath(osp.dirname(resumed)) in here):
        return
    barrier()  # all ranks have read what the run begins with
    if not is_main_process():
        return
    for folder in folders:
        names = _checkpoints(folder, (*PATTERNS, filename.replace('{}', '*')))
        if names:
            target = _new_folder(folder, names)
            for name in names:
                os.rename(osp.join(folder, name), osp.join(target, name))
            listed = ', '.join(names[:8]) + (', ...' if len(names) > 8 else '')
            runner.logger.warning(
                f'{folder} held checkpoints of an earlier run ({listed}); this run does not go on from them, so they '
                f'were moved to {target}'
            )


def _checkpoints(folder: str, patterns: Iterable[str]) -> list[str]:
    names = os.listdir(folder) if osp.isdir(folder) else ()
    found = [name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)]
    # Parts of a memory (*.memory-*) first: without their checkpoint they would be removed.
    return sorted(found, key=lambda name: ('.memory-' not in name, name))


def _new_folder(folder: str, names: Iterable[str]) -> str:
    newest = max(os.stat(osp.join(folder, name)).st_mtime for name in names)
    target = first = osp.join(folder, FOLDER, time.strftime('%Y%m%d_%H%M%S', time.localtime(newest)))
    count = 1
    while osp.exists(target):
        count += 1
        target = f'{first}-{count}'
    os.makedirs(target)
    return target
