# Copyright (c) mmreid contributors. All rights reserved.
"""Separates the checkpoints of an earlier run from those of a new one in the same folder."""

import os
import os.path as osp
import time
from collections.abc import Sequence
from contextlib import suppress
from fnmatch import fnmatchcase

from mmengine.dist import barrier, is_main_process
from mmengine.runner import Runner

from mmreid.engine.contracts import current_run_of

from .checkpoint_names import is_checkpoint_of, stem_of
from .run_files import iteration_of, run_of

FOLDER = 'earlier'
POINTER = 'last_checkpoint'
PATTERNS = ('epoch_*.pth', 'iter_*.pth', 'best_*.pth', POINTER)
MOVING = '.moving'  # ends the name of a folder that is being filled


def set_aside_earlier_run(runner: Runner, folders: Sequence[str], filename: str, resumed: str = '') -> None:
    """Moves the checkpoints of an earlier run into ``earlier/<date>``, unless this run continues from them.

    If this run goes back to an earlier checkpoint, only later checkpoints are moved.

    All ranks must call it. If it is killed, the next call finishes the move, into the same folder.

    Args:
        runner (Runner): The runner of a training that begins.
        folders (Sequence[str]): Local folders of its checkpoints; they may be absent.
        filename (str): Their name, with ``{}`` or ``{:03d}`` for the number.
        resumed (str): The checkpoint that the run continues from, if it was named; only a folder that holds it, or
            whose ``last_checkpoint`` names it, keeps its files. Defaults to ''.
    """
    barrier()  # all ranks have read what the run begins with
    if not is_main_process():
        return
    for folder in folders:
        goes_on = runner.iter > 0 and (not resumed or _leads_to(folder, resumed))
        names = _checkpoints(folder, filename)
        if goes_on:
            names = _later(folder, names, runner) if _goes_back(runner, resumed) else []
        for moved, target in _move(folder, names):
            listed = ', '.join(moved[:8]) + (', ...' if len(moved) > 8 else '')
            runner.logger.warning(
                f'{folder} held checkpoints of an earlier run ({listed}); this run does not go on from them, so they '
                f'were moved to {target}'
            )


def _goes_back(runner: Runner, resumed: str) -> bool:
    """Whether this run starts from an earlier checkpoint of another run, which only our runner knows."""
    run = current_run_of(runner)
    return run is not None and bool(resumed) and run_of(resumed) != run.id


def _later(folder: str, names: Sequence[str], runner: Runner) -> list[str]:
    """Picks the checkpoints that were saved after the iteration that this run begins with."""
    later = {stem_of(name) for name in names if name != POINTER and iteration_of(osp.join(folder, name)) > runner.iter}
    return [name for name in names if stem_of(name) in later or (later and name == POINTER)]


def _leads_to(folder: str, checkpoint: str) -> bool:
    """Whether ``--resume`` finds the checkpoint through this folder: it holds the file, or its pointer names it."""
    if osp.realpath(osp.dirname(checkpoint)) == osp.realpath(folder):
        return True
    try:
        with open(osp.join(folder, POINTER), encoding='utf-8', errors='replace') as file:
            return osp.realpath(file.read().strip()) == osp.realpath(checkpoint)
    except (OSError, ValueError):  # no pointer, or a null character in it
        return False


def _checkpoints(folder: str, filename: str) -> list[str]:
    """Lists the files to move, each checkpoint right after its memory shards, which would else count as orphans."""
    names = os.listdir(folder) if osp.isdir(folder) else ()
    found = [
        name
        for name in names
        if is_checkpoint_of(name, filename) or any(fnmatchcase(name, pattern) for pattern in PATTERNS)
    ]
    return sorted(found, key=lambda name: (name == POINTER, stem_of(name), '.memory-' not in name, name))


def _move(folder: str, names: Sequence[str]) -> list[tuple[list[str], str]]:
    """Finishes an interrupted move, then moves the files; returns the names of each set and its new folder."""
    done = []
    moving = _unfinished(folder)
    if moving and any(osp.lexists(osp.join(moving, name)) for name in names):  # of yet another run
        done.append(_finish(moving))
        moving = ''
    if names and not moving:
        newest = max(os.stat(osp.join(folder, name)).st_mtime for name in names)
        date = time.strftime('%Y%m%d_%H%M%S', time.localtime(newest))
        moving = osp.join(folder, FOLDER, f'.{date}{MOVING}')
        os.makedirs(moving)
    for name in names:
        os.rename(osp.join(folder, name), osp.join(moving, name))
    if moving:
        done.append(_finish(moving))
    return [(moved, target) for moved, target in done if moved]


def _unfinished(folder: str) -> str:
    parent = osp.join(folder, FOLDER)
    names = os.listdir(parent) if osp.isdir(parent) else ()
    found = [osp.join(parent, name) for name in names if name.startswith('.') and name.endswith(MOVING)]
    return min(found, default='')


def _finish(moving: str) -> tuple[list[str], str]:
    """Gives a filled folder its final name; returns the names in it and its path."""
    names = sorted(os.listdir(moving))
    if not names:
        with suppress(OSError):
            os.rmdir(moving)
        return [], moving
    parent, name = osp.split(moving)
    target = first = osp.join(parent, name[1 : -len(MOVING)])
    count = 1
    while osp.lexists(target):
        count += 1
        target = f'{first}-{count}'
    os.rename(moving, target)
    return names, target
