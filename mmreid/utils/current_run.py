# Copyright (c) mmreid contributors. All rights reserved.
"""The file of a work directory that names its current run, so that no clock decides which checkpoint is the newest."""

import json
import os
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

from mmreid.utils.atomic_io import atomic_write

RUN_FILE = 'current_run.json'


@dataclass(frozen=True)
class CurrentRun:
    """What a work directory knows of its current run.

    Attributes:
        id (str): The run; its checkpoints hold it as ``meta['run_id']``.
        began_from (str): The checkpoint that the run went on from, if it was named on the command line; else empty.
        finished (bool): Whether the run came to its end, its last validation included.
    """

    id: str
    began_from: str = ''
    finished: bool = False


def new_run_id() -> str:
    """Makes an id that no other run has."""
    return uuid.uuid4().hex[:16]


def read_current_run(work_dir: str | os.PathLike) -> CurrentRun | None:
    """Reads the file.

    Args:
        work_dir (str or PathLike): The work directory; it may be absent.

    Returns:
        CurrentRun or None: The run, or None if the file is absent or says nothing usable.
    """
    try:
        content = json.loads((Path(work_dir) / RUN_FILE).read_text(encoding='utf-8'))
        run = CurrentRun(**content)
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    is_valid = isinstance(run.id, str) and run.id and isinstance(run.began_from, str) and isinstance(run.finished, bool)
    return run if is_valid else None


def write_current_run(work_dir: str | os.PathLike, run: CurrentRun) -> None:
    """Names the current run of a work directory.

    Args:
        work_dir (str or PathLike): The work directory.
        run (CurrentRun): Its run from now on.
    """
    atomic_write(Path(work_dir) / RUN_FILE, json.dumps(asdict(run), indent=2) + '\n')
