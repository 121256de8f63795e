# Copyright (c) mmreid contributors. All rights reserved.
"""Finds out which checkpoints of a folder belong to a run, so that no other is ever removed."""

import re
from pathlib import Path

from mmreid.utils.checkpoint import CheckpointError, load_checkpoint_file

from .checkpoint_names import numbered


def replaced_best_files(best: str, key: str, filename_tmpl: str, run_id: str) -> list[str]:
    """Lists the earlier best checkpoints beside the best one, of the same metric and the same run.

    Args:
        best (str): The best checkpoint; if it is missing, nothing has replaced the others.
        key (str): The metric.
        filename_tmpl (str): Name of checkpoints, with ``{}`` or ``{:03d}`` for the number.
        run_id (str): The run, see :mod:`mmreid.utils.current_run`.
    """
    if not Path(best).is_file():
        return []
    name = numbered(f'best_{key}_{filename_tmpl}'.replace('/', '_'))
    others = [
        path for path in Path(best).parent.iterdir() if re.fullmatch(name, path.name) and path.name != Path(best).name
    ]
    return [str(path) for path in sorted(others) if run_of(path) == run_id]


def run_of(path: str | Path) -> str | None:
    """Reads the id of the run that a checkpoint was saved by; None if the file is absent, unreadable or has none."""
    run_id = _meta_of(path).get('run_id')
    return run_id if isinstance(run_id, str) else None


def iteration_of(path: str | Path) -> int:
    """Reads the iteration that a checkpoint was saved at; -1 if the file is absent, unreadable or has none."""
    iteration = _meta_of(path).get('iter')
    return iteration if type(iteration) is int else -1


def _meta_of(path: str | Path) -> dict:
    try:
        meta = load_checkpoint_file(path, mmap=True).get('meta')
    except (CheckpointError, OSError):
        return {}
    return meta if isinstance(meta, dict) else {}
