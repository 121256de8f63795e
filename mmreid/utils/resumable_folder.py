# Copyright (c) mmreid contributors. All rights reserved.
"""Writes folders that are either complete or absent, and goes on with what a killed call has left."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .atomic_folder import make_beside, put_back, replace_folder
from .run_lock import run_lock


@contextmanager
def resumable_folder(root: str | Path, facts: dict, check: Callable[[], None] = lambda: None) -> Iterator[Path]:
    """As :func:`atomic_folder`, but what a killed or interrupted call has written is there in the next one.

    Args:
        root (str | Path): The folder to write.
        facts (dict): Plain data that decides the content; what was left by a call with others is thrown away.
        check (Callable): See :func:`atomic_folder`.

    Yields:
        Path: The folder to fill, empty or as the last call left it. An error throws it away.

    Raises:
        FolderInUseError: If another process is filling it.
    """
    root = Path(root).absolute()
    put_back(root)
    place = root.parent / f'.{root.name}.unfinished'
    make_beside(place, root, exist_ok=True)
    with run_lock(place):
        plan, partial = place / 'plan.json', place / 'files'
        text = json.dumps(facts, sort_keys=True)
        if not plan.is_file() or plan.read_text(encoding='utf-8') != text:
            shutil.rmtree(partial, ignore_errors=True)  # noqa: TID251  what another call of this tool has left
            plan.write_text(text, encoding='utf-8')
        partial.mkdir(exist_ok=True)
        try:
            yield partial
            check()
            replace_folder(root, partial)
        except Exception:  # Ctrl-C and SIGTERM are none, and leave what is there for the next call
            shutil.rmtree(place, ignore_errors=True)  # noqa: TID251  what this call has made
            raise
        shutil.rmtree(place, ignore_errors=True)  # noqa: TID251  empty but for the plan
