# Copyright (c) mmreid contributors. All rights reserved.
"""Writes folders that are either complete or absent, however the writing process ends."""

import json
import os
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from .json_text import parse_json
from .process_mark import MARK, is_left_over, may_run_here, process_mark
from .run_lock import run_lock

FILES = 'files'  # entry of a marker: size in bytes of each other file, by its path


def write_marker(root: str | Path, marker: str, facts: dict) -> dict:
    """Writes the JSON file that marks a finished folder: ``facts`` and the sizes of all other files; returns it."""
    content = facts | {FILES: {path: size for path, size in list_files(root).items() if path != marker}}
    (Path(root) / marker).write_text(json.dumps(content, indent=2) + '\n', encoding='utf-8')
    return content


def list_files(root: str | Path) -> dict[str, int]:
    """Lists all files below a folder: size in bytes (of a link: its own) by relative path with forward slashes."""
    paths = []
    for folder, folders, names in os.walk(root):
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        paths += [Path(folder, name) for name in (*names, *links)]
    return {path.relative_to(root).as_posix(): path.lstat().st_size for path in sorted(paths)}


def check_free(root: str | Path, marker: str, force: bool, extra: Collection[str] = ()) -> None:
    """Refuses to touch a folder with content, unless the same tool wrote all of it and may replace it.

    Args:
        root (str | Path): The folder to write.
        marker (str): A file that the tool leaves in every folder it writes, see :func:`write_marker`.
        force (bool): Whether a folder with this marker may be replaced.
        extra (Collection[str]): Files that may be lost although the marker does not list them. Defaults to ().

    Raises:
        FileExistsError: If the folder must be kept.
    """
    root = Path(root)
    _put_back(root)
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
    foreign = sorted(set(list_files(root)) - {marker, *_files_of(root / marker), *extra})
    if foreign:
        others = f' and {len(foreign) - 1} other files' if len(foreign) > 1 else ''
        raise FileExistsError(
            f'{root} also holds {foreign[0]}{others}, which this tool did not write; move it elsewhere first'
        )


def _files_of(marker: Path) -> Collection[str]:
    try:
        return dict(parse_json(marker.read_text(encoding='utf-8'))[FILES])
    except (ValueError, KeyError, TypeError) as error:
        raise FileExistsError(
            f'{marker} does not list the files that were written with it, so {marker.parent} is kept; remove it '
            'yourself, or give a new folder'
        ) from error


@contextmanager
def atomic_folder(root: str | Path, check: Callable[[], None] = lambda: None) -> Iterator[Path]:
    """Offers a hidden sibling of a folder; renames it at the end, removes it upon failure.

    Args:
        root (str | Path): The folder to write; it replaces an older one as a whole, see :func:`check_free`.
        check (Callable): Called just before the older one is replaced; raises if it must be kept after all.

    Yields:
        Path: The folder to fill.
    """
    root = Path(root).absolute()
    _put_back(root)
    _remove_leftovers(root)
    partial = root.parent / f'.{root.name}.partial-{process_mark()}'
    shutil.rmtree(partial, ignore_errors=True)  # noqa: TID251  named by this process
    _make(partial, root)
    try:
        yield partial
        check()
        _replace(root, partial)
    finally:
        shutil.rmtree(partial, ignore_errors=True)  # noqa: TID251  what this call has made


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
    _put_back(root)
    place = root.parent / f'.{root.name}.unfinished'
    _make(place, root, exist_ok=True)
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
            _replace(root, partial)
        except Exception:
            shutil.rmtree(place, ignore_errors=True)  # noqa: TID251  what this call has made
            raise
        shutil.rmtree(place, ignore_errors=True)  # noqa: TID251  empty but for the plan


def _replace(root: Path, partial: Path) -> None:
    """Gives a finished folder the name of the older one."""
    old = root.parent / f'.{root.name}.old-{process_mark()}'
    if root.exists():
        root.rename(old)
    try:
        partial.rename(root)
    except OSError:
        if old.exists():
            old.rename(root)
        raise
    shutil.rmtree(old, ignore_errors=True)  # noqa: TID251  what this call has just replaced


def _make(partial: Path, root: Path, exist_ok: bool = False) -> None:
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        partial.mkdir(exist_ok=exist_ok)
    except OSError as error:
        raise type(error)(
            f'{root} cannot be created ({error.strerror}); give another place, or make {root.parent} a folder that '
            'can be written to'
        ) from error


def _left(root: Path, kind: str) -> dict[Path, str]:
    """Lists the temporary folders of all processes, with the marks of these processes."""
    prefix = f'.{root.name}.{kind}-'
    paths = root.parent.iterdir() if root.parent.is_dir() else ()
    marks = {path: path.name.removeprefix(prefix) for path in paths if path.name.startswith(prefix)}
    return {path: mark for path, mark in marks.items() if MARK.fullmatch(mark)}


def _put_back(root: Path) -> None:
    """Gives a folder its name back if a process was killed after it moved the old folder away."""
    root = root.absolute()
    left = {} if root.exists() or root.is_symlink() else _left(root, 'old')
    over = [path for path, mark in left.items() if not may_run_here(mark)]
    if over:
        max(over, key=lambda path: path.stat().st_mtime).rename(root)


def _remove_leftovers(root: Path) -> None:
    """Removes temporary folders of processes that have ended; others, on any machine, keep theirs."""
    for path, mark in (_left(root, 'partial') | _left(root, 'old')).items():
        if is_left_over(path, mark):
            shutil.rmtree(path, ignore_errors=True)  # noqa: TID251  named by a process of ours that has ended
