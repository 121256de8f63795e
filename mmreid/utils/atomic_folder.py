# Copyright (c) mmreid contributors. All rights reserved.
"""Folders that are either complete or absent, however the process that writes them ends."""

import os
import shutil
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

STALE_SECONDS = 3600


def check_free(root: str | Path, marker: str, force: bool, written: Collection[str] | None = None) -> None:
    """Refuses to touch a folder with content, unless the same tool made all of it and it may be replaced.

    Args:
        root (str | Path): The folder that is to be written.
        marker (str): A file that the tool leaves in every folder it writes.
        force (bool): Whether a folder that holds the marker may be replaced.
        written (Collection[str], optional): Names that the tool writes into the folder; others keep it from being
            replaced. Defaults to None, any name.

    Raises:
        FileExistsError: If the folder must be kept.
    """
    root = Path(root)
    if not root.exists() and not root.is_symlink():
        return
    if not root.is_dir() or root.is_symlink():
        raise FileExistsError(f'{root} is not an ordinary folder; give the name of a new one')
    if not any(root.iterdir()):
        return
    if not (root / marker).is_file():
        raise FileExistsError(f'{root} has content that this tool did not write, so it is kept; give a new folder')
    if not force:
        raise FileExistsError(f'{root} was written before; use --force to replace it, or give a new folder')
    foreign = sorted({path.name for path in root.iterdir()} - {marker, *(written or ())})
    if foreign and written is not None:
        raise FileExistsError(f'{root} also holds {foreign[0]}, which this tool did not write; move it elsewhere first')


@contextmanager
def atomic_folder(root: str | Path) -> Iterator[Path]:
    """Offers a hidden sibling of a folder; renames it at the end, removes it upon failure.

    Args:
        root (str | Path): The folder to write. An older one is replaced as a whole, see :func:`check_free`.

    Yields:
        Path: The folder to fill.
    """
    root = Path(root).absolute()
    root.parent.mkdir(parents=True, exist_ok=True)
    for left in root.parent.glob(f'.{root.name}.partial-*'):  # of runs that were killed
        if time.time() - left.stat().st_mtime > STALE_SECONDS:
            shutil.rmtree(left, ignore_errors=True)
    partial = root.parent / f'.{root.name}.partial-{os.getpid()}'
    old = root.parent / f'.{root.name}.old-{os.getpid()}'
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        yield partial
        if root.exists():
            root.rename(old)
        try:
            partial.rename(root)
        except OSError:
            if old.exists():
                old.rename(root)
            raise
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
