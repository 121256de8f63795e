# Copyright (c) mmreid contributors. All rights reserved.
"""Stores which run is current in a work directory, so that file times need not decide which checkpoint is newest."""

import json
import os
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

from mmreid.utils.atomic_io import atomic_write

RUN_FILE = 'current_run.json'


@dataclass(frozen=True)
class CurrentRun:
    """The current run of a work directory.

    Attributes:
        id (str): The run; its checkpoints hold it as ``meta['run_id']``.
        began_from (str): The checkpoint that the run continued from, if the command line named one; else empty.
        finished (bool): Whether the run is complete, its last validation included.
    """

    id: str
    began_from: str = ''
    finished: bool = False


def new_run_id() -> str:
    """Makes an id that no other run has."""
    return uuid.uuid4().hex[:16]


def read_current_run(work_dir: str | os.PathLike) -> CurrentRun | None:
    """Reads the current run of a work directory; None if the file is absent or unusable."""
    try:
        content = json.loads((Path(work_dir) / RUN_FILE).read_text(encoding='utf-8'))
        run = CurrentRun(**content)
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    is_valid = isinstance(run.id, str) and run.id and isinstance(run.began_from, str) and isinstance(run.finished, bool)
    return run if is_valid else None


def write_current_run(work_dir: str | os.PathLike, run: CurrentRun) -> None:
    """Writes the current run of a work directory."""
    atomic_write(Path(work_dir) / RUN_FILE, json.dumps(asdict(run), indent=2) + '\n')
