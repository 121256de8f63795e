# Copyright (c) mmreid contributors. All rights reserved.
"""The files that are derived from a gallery, in a folder beside it. They hold vectors, so they go when entries do."""

from contextlib import suppress
from pathlib import Path

INDEX_FILES = ('index.json', 'index.faiss')
VECTOR_FILES = ('vectors',)


def remove_files(folder: Path, names: tuple[str, ...] = (*INDEX_FILES, *VECTOR_FILES)) -> None:
    """Removes derived files, by default all of them with their folder; others stay."""
    for name in names:
        with suppress(FileNotFoundError, NotADirectoryError):
            (folder / name).unlink()
    with suppress(OSError):
        folder.rmdir()
