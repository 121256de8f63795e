# Copyright (c) mmreid contributors. All rights reserved.
"""Lists the image files of a folder, without the ghosts that operating systems leave there."""

import os
from collections.abc import Iterable
from pathlib import Path

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp')
GHOST_NAMES = ('thumbs.db', 'desktop.ini', '.ds_store', '__macosx')


def is_ghost(name: str) -> bool:
    """Tells whether a name is no data of the user's: ``._x.jpg``, ``.DS_Store``, ``Thumbs.db``, ``__MACOSX``.

    Args:
        name (str): A file's or folder's own name.

    Returns:
        bool: True for a ghost or a hidden file.
    """
    return name.startswith('.') or name.lower() in GHOST_NAMES


def list_images(folder: str | Path) -> list[str]:
    """Lists the image files directly inside a folder, in name order.

    Args:
        folder (str | Path): The folder.

    Returns:
        list[str]: Names of the files, sorted, ghosts and other files left out.

    Raises:
        FileNotFoundError: If the folder is missing.
    """
    with os.scandir(folder) as entries:
        return sorted(
            entry.name
            for entry in entries
            if entry.name.lower().endswith(IMAGE_SUFFIXES) and not is_ghost(entry.name) and not _is_folder(entry)
        )


def list_folders(folder: str | Path) -> list[str]:
    """Lists the folders directly inside a folder, in name order.

    Args:
        folder (str | Path): The folder.

    Returns:
        list[str]: Names of the folders, sorted, ghosts left out. A link that leads nowhere is left out.
    """
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if not is_ghost(entry.name) and os.path.isdir(entry))


def real_paths(paths: Iterable[str]) -> list[str]:
    """Gives each file one spelling, whatever links and dots lead to its folder; asks the disk once a folder.

    Args:
        paths (Iterable[str]): Files.

    Returns:
        list[str]: Absolute paths, in the same order. A link that is a file itself is not followed.
    """
    folders: dict[str, str] = {}
    real = []
    for path in paths:
        folder, name = os.path.split(path)
        if folder not in folders:
            folders[folder] = os.path.realpath(folder)
        real.append(os.path.join(folders[folder], name))
    return real


def _is_folder(entry: os.DirEntry) -> bool:
    # An entry knows its own kind without asking the disk, a link's target has to be looked at and may loop.
    return os.path.isdir(entry) if entry.is_symlink() else entry.is_dir()
