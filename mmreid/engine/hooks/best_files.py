# Copyright (c) mmreid contributors. All rights reserved.
"""Finds best checkpoints that a killed run had replaced, but not removed yet."""

import re
from pathlib import Path

from mmreid.utils.checkpoint import CheckpointError, load_checkpoint_file


def replaced_best_files(best: str, key: str, filename_tmpl: str, run_id: str) -> list[str]:
    """Lists the earlier best checkpoints beside the best one, of the same key and the same run.

    Args:
        best (str): The best checkpoint; if it is missing, nothing has replaced the others.
        key (str): The value that it is best in.
        filename_tmpl (str): Name of checkpoints, with ``{}`` for the number.
        run_id (str): The run, see :mod:`mmreid.utils.current_run`.

    Returns:
        list[str]: Paths.
    """
    if not Path(best).is_file():
        return []
    name = re.escape(f'best_{key}_{filename_tmpl}'.replace('/', '_')).replace(re.escape('{}'), r'\d+')
    others = [
        path for path in Path(best).parent.iterdir() if re.fullmatch(name, path.name) and path.name != Path(best).name
    ]
    return [str(path) for path in sorted(others) if _run_of(path) == run_id]


def _run_of(path: Path) -> str | None:
    try:
        meta = load_checkpoint_file(path, mmap=True).get('meta')
    except (CheckpointError, OSError):
        return None
    return meta.get('run_id') if isinstance(meta, dict) else None
