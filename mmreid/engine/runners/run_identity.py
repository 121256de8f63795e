# Copyright (c) mmreid contributors. All rights reserved.
"""Decides which run a training continues, without file times."""

import os.path as osp

from mmengine.dist import is_main_process
from mmengine.runner import Runner

from mmreid.engine.checkpoints.memory_shards import damaged_shard
from mmreid.utils.checkpoint import find_resumable_checkpoint
from mmreid.utils.current_run import CurrentRun, new_run_id, read_current_run, write_current_run
from mmreid.utils.dist import of_first_rank


def newest_checkpoint(work_dir: str) -> str | None:
    """Finds the newest complete checkpoint of a folder's current run; None if there is none."""
    return find_resumable_checkpoint(work_dir, damaged_shard)


def run_to_train(runner: Runner) -> CurrentRun:
    """Returns the run that this training continues, or a new one; rank 0 decides for all ranks."""
    # Only one rank looks, because it writes the file that the others would read.
    return of_first_rank(lambda: _continued_run(runner) or CurrentRun(new_run_id()))


def set_current_run(runner: Runner, run: CurrentRun) -> None:
    """Notes the run in the runner and in its work directory."""
    runner.current_run = run
    if is_main_process():
        write_current_run(runner.work_dir, run)


def _continued_run(runner: Runner) -> CurrentRun | None:
    """Returns the run that is resumed; a training that goes back to an earlier checkpoint is another run."""
    if not runner._resume or runner._load_from is None:
        return None
    path, current = str(runner._load_from), read_current_run(runner.work_dir)
    run_id = str(runner.loaded_meta.get('run_id', ''))
    if run_id and (current is None or current.id == run_id) and _is_newest(runner, path):
        finished = current is not None and current.finished and runner.iter >= runner.max_iters
        return CurrentRun(run_id, current.began_from if current else '', finished)
    return CurrentRun(new_run_id(), began_from=path if '://' in path else osp.abspath(path))


def _is_newest(runner: Runner, path: str) -> bool:
    newest = runner._newest or runner.newest_checkpoint()  # known already unless --resume named a file
    return newest is not None and osp.realpath(newest) == osp.realpath(path)
