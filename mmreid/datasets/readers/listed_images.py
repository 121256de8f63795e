# Copyright (c) mmreid contributors. All rights reserved.
"""Checks that the images of a list file are on disk."""

import os
from collections.abc import Sequence
from pathlib import Path


def require_listed_images(list_file: str | Path, folder: str | Path, rows: Sequence[tuple[int, str, int]]) -> None:
    """Refuses a list file that names missing images.

    Each folder is listed once, which is much faster than looking up each of 100,000 files.

    Args:
        list_file (str | Path): The list file, for the message.
        folder (str | Path): Folder that the paths in the rows are relative to.
        rows (Sequence[tuple[int, str, int]]): Line number, path with forward slashes, label.

    Raises:
        FileNotFoundError: If images are missing; it names the first and counts all.
    """
    names: dict[str, set[str]] = {}
    missing = []
    for number, image, _ in rows:
        parent, _, name = image.rpartition('/')
        if parent not in names:
            path = os.path.join(folder, parent)
            names[parent] = set(os.listdir(path)) if os.path.isdir(path) else set()
        if name not in names[parent]:
            missing.append((number, image))
    if missing:
        number, image = missing[0]
        raise FileNotFoundError(
            f'{list_file} line {number} names {Path(folder) / image}, which does not exist; {len(missing):,} of its '
            f'{len(rows):,} images are missing. Unpack the archive again, and keep list files and images of one release'
        )
