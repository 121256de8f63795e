# Copyright (c) mmreid contributors. All rights reserved.
"""Lists the image files of a folder, without the ghost files that operating systems leave there."""

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp')
GHOST_NAMES = ('thumbs.db', 'desktop.ini', '.ds_store', '__macosx')


def is_ghost(name: str) -> bool:
    """Returns whether a name is hidden or made by the system: ``._x.jpg``, ``Thumbs.db``, ``__MACOSX``."""
    return name.startswith('.') or name.lower() in GHOST_NAMES


def list_images(folder: str | Path) -> list[str]:
    """Lists the names of the images directly inside an existing folder, sorted, without ghosts."""
    with os.scandir(folder) as entries:
        return sorted(
            entry.name
            for entry in entries
            if entry.name.lower().endswith(IMAGE_SUFFIXES) and not is_ghost(entry.name) and not _is_folder(entry)
        )


def list_folders(folder: str | Path) -> list[str]:
    """Lists the names of the folders directly inside a folder, sorted, without ghosts and broken links."""
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if not is_ghost(entry.name) and os.path.isdir(entry))


def shared_files(first: Sequence[str], second: Sequence[str]) -> list[tuple[str, str]]:
    """Finds files that are in both of two lists, whatever links lead to them.

    Each file of the first list is looked up on disk. Of the second list, only symbolic links are, unless the first has
    symbolic links or files with several names (hard links).

    Args:
        first (Sequence[str]): Files; the shorter list, if there is a choice.
        second (Sequence[str]): Files.

    Returns:
        list[tuple[str, str]]: Path in the first and in the second list, in the order of the first, each path once.
    """
    places, others = ([os.path.split(path) for path in paths] for paths in (first, second))
    folders = {folder: os.path.realpath(folder) for folder in {folder for folder, _ in chain(places, others)}}
    links = _symbolic_links(folders)
    wanted = {
        (folders[place[0]], place[1]): (path, place, _status(path)) for path, place in zip(first, places, strict=True)
    }
    by_path = {(folders[folder], name): path for path, (folder, name) in zip(second, others, strict=True)}
    if any(place in links or (status and status.st_nlink > 1) for _, place, status in wanted.values()):
        looked_up = list(second)
    else:
        looked_up = [path for path, place in zip(second, others, strict=True) if place in links] if links else []
    by_id = {(status.st_dev, status.st_ino): path for path in looked_up if (status := _status(path))}
    shared = []
    for real, (path, _, status) in wanted.items():
        other = by_path.get(real) or (by_id.get((status.st_dev, status.st_ino)) if status else None)
        if other is not None:
            shared.append((path, other))
    return shared


def _symbolic_links(folders: Iterable[str]) -> set[tuple[str, str]]:
    """Lists the symbolic links in folders as (folder, name); asks the disk once per folder."""
    found: set[tuple[str, str]] = set()
    for folder in folders:
        with suppress(OSError), os.scandir(folder or '.') as entries:
            found.update((folder, entry.name) for entry in entries if entry.is_symlink())
    return found


def _status(path: str) -> os.stat_result | None:
    """Looks up the file that a path leads to; None if there is none, which reading it will report."""
    try:
        return os.stat(path)
    except OSError:
        return None


def _is_folder(entry: os.DirEntry) -> bool:
    # An entry knows its kind without asking the disk; the target of a link has to be looked up and may loop.
    return os.path.isdir(entry) if entry.is_symlink() else entry.is_dir()
