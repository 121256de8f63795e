# Copyright (c) mmreid contributors. All rights reserved.
"""Reads images that are not yet divided into training and test: a CSV file, identity folders, or file names."""

import os
import re
from pathlib import Path
from typing import NamedTuple

from mmreid.datasets.folder_dataset import compile_camera_pattern, refuse_split_folders, walk_identities
from mmreid.datasets.market1501 import Market1501
from mmreid.datasets.readers.csv_rows import LINE, read_csv_rows
from mmreid.datasets.readers.image_files import IMAGE_SUFFIXES, is_ghost, list_folders, list_images
from mmreid.datasets.readers.unread_images import warn_of_unread

SPLIT_FOLDERS = ({'query', 'gallery'}, {'query', 'bounding_box_test'})


class Source(NamedTuple):
    """Images with their identities.

    Args:
        rows (list[dict]): Texts ``img_path`` (relative to ``root`` if possible), ``pid``, ``camid`` ('' if unknown),
            and the other columns of a CSV file.
        root (Path): Folder of the relative paths.
        notes (list[str]): What the user should know.
        distractors (frozenset[str]): Pids of distractors.
    """

    rows: list[dict]
    root: Path
    notes: list[str]
    distractors: frozenset[str] = frozenset()


def read_source(
    src: str | Path,
    data_root: str | Path | None = None,
    pattern: str | None = None,
    camera_pattern: str | None = None,
) -> Source:
    """Reads images and their identities.

    Args:
        src (str | Path): A CSV file; a folder with one folder per identity, which may hold one per camera; or a folder
            of images named like those of Market-1501.
        data_root (str | Path, optional): Folder that the paths of a CSV are relative to. Defaults to its own.
        pattern (str, optional): Regular expression with the group ``pid`` and optionally ``camid``, searched in the
            path below ``src``; for file names in any folders. Defaults to None.
        camera_pattern (str, optional): Regular expression with one group that finds the camera in the file name; for
            folders of identities. Defaults to None.

    Returns:
        Source: The images.

    Raises:
        FileNotFoundError: If ``src`` or an image is missing.
        ValueError: If the source is not understood.
    """
    source = _read(Path(src), data_root, pattern, camera_pattern)
    garbled = [row['img_path'] for row in source.rows if _is_garbled(row['img_path'])]
    if garbled:
        raise ValueError(f'the name {garbled[0]!r} in {src} is not UTF-8 text; rename the file or its folder')
    unknown = [row['img_path'] for row in source.rows if not row['camid']]
    if 0 < len(unknown) < len(source.rows):
        raise ValueError(
            f'{len(unknown)} of {len(source.rows)} images of {src} have no camera, the first is {unknown[0]}; give '
            'the camera of all (camid, or a folder of the camera in that of the identity) or of none'
        )
    return source


def _read(src: Path, data_root: str | Path | None, pattern: str | None, camera_pattern: str | None) -> Source:
    if not src.exists():
        raise FileNotFoundError(f'{src} does not exist; give a CSV file or a folder of images')
    if src.is_file():
        if pattern or camera_pattern:
            raise ValueError(f'{src} is a file with columns for pid and camid; leave the patterns out')
        return _from_csv(src, Path(data_root) if data_root else src.parent)
    if data_root is not None:
        raise ValueError(
            f'{src} is a folder, so paths are relative to it; leave the data root out, which is for CSV files'
        )
    folders = set(list_folders(src))
    if any(names <= folders for names in SPLIT_FOLDERS) and not pattern:
        raise ValueError(
            f'{src} is split already, as it holds {", ".join(sorted(folders))}; use it as it is with '
            'FolderReIDDataset or Market1501, or divide all its images again with --pattern'
        )
    if pattern:
        return _from_names(src, pattern)
    if folders:
        camera = compile_camera_pattern(camera_pattern)
        refuse_split_folders(src)
        rows = [
            dict(img_path=path.relative_to(src).as_posix(), pid=pid, camid=camid)
            for path, pid, camid in walk_identities(src, camera)
        ]
        if not rows:
            raise ValueError(f'{src} has folders but no image in them; expected {src}/<identity>/*.jpg')
        return Source(rows, src, [])
    return _from_names(src, Market1501.PATTERN)


def _from_csv(path: Path, root: Path) -> Source:
    rows = read_csv_rows(path)
    missing = [row for row in rows if not (root / row['img_path']).is_file()]
    if missing:
        raise FileNotFoundError(
            f'{len(missing)} of {len(rows)} rows of {path} name images that do not exist, the first on line '
            f'{missing[0][LINE]}: {root / missing[0]["img_path"]}; correct the rows, or say with --data-root which '
            f'folder the paths are relative to (now {root})'
        )
    notes = ["the column 'split' of the source is replaced"] if 'split' in rows[0] else []
    return Source([{key: row[key] for key in row if key != LINE} | dict(camid=row.get('camid', '')) for row in rows],
                  root, notes)  # fmt: skip


def _from_names(src: Path, pattern: str) -> Source:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(f'pattern={pattern!r} is not a regular expression: {error}') from error
    if 'pid' not in compiled.groupindex:
        raise ValueError(f'pattern={pattern!r} lacks the named group pid: write (?P<pid>\\d+) where the identity is')
    is_market = pattern == Market1501.PATTERN
    folders = [src] if is_market else _folders(src)
    paths = sorted((folder / name).relative_to(src).as_posix() for folder in folders for name in list_images(folder))
    warn_of_unread(src, folders)
    if not paths:
        raise ValueError(f'{src} holds no folder and no image ({", ".join(IMAGE_SUFFIXES)})')
    rows, unmatched = [], []
    for path in paths:
        match = compiled.match(path) if is_market else compiled.search(path)
        if match is None or not match['pid']:
            unmatched.append(path)
            continue
        rows.append(dict(img_path=path, pid=match['pid'], camid=match.groupdict().get('camid') or ''))
    if unmatched:
        like = 'named like 0002_c1s1_000451_03.jpg (identity, camera, ...)' if is_market else f'matched by {pattern!r}'
        raise ValueError(
            f'{len(unmatched)} of {len(paths)} images in {src} are not {like}, the first is {unmatched[0]}; rename '
            'or remove them, put each identity into a folder of its own, or give --pattern for your names'
        )
    if not is_market:
        return Source(rows, src, [])
    kept = [row for row in rows if int(row['pid']) != -1]
    notes = [f'{len(rows) - len(kept)} junk images (identity -1) are left out'] if len(kept) < len(rows) else []
    return Source(kept, src, notes, frozenset(row['pid'] for row in kept if int(row['pid']) == 0))


def _is_garbled(name: str) -> bool:
    """Returns whether a name holds bytes that Python could not read as UTF-8."""
    return any(0xDC80 <= ord(letter) <= 0xDCFF for letter in name)


def _folders(src: Path) -> list[Path]:
    found = []
    for folder, folders, _ in os.walk(src):
        folders[:] = [name for name in folders if not is_ghost(name)]
        found.append(Path(folder))
    return found
