# Copyright (c) mmreid contributors. All rights reserved.
"""What is known about image files: from a table, or from their paths."""

import os
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from mmreid.datasets.readers.csv_rows import read_csv_rows

_GROUPS = ('id', 'camera', 'time')
_COLUMNS = dict(ids='pid', cameras='camid', times='timestamp', modality='modality')


def labels_of_table(path: str | os.PathLike, images: Sequence[str]) -> dict[str, list[Any]]:
    """Reads facts from a CSV file with the columns of :class:`~mmreid.datasets.CsvReIDDataset`.

    Args:
        path (str | PathLike): The table; its ``img_path`` are relative to its folder, or absolute.
        images (Sequence[str]): Image files.

    Returns:
        dict[str, list]: Arguments of :meth:`Gallery.add`.

    Raises:
        ValueError: If it lacks an image, or is no such table.
    """
    folder = Path(path).parent
    rows = {os.path.realpath(folder / row['img_path']): row for row in read_csv_rows(path)}
    found = [rows.get(os.path.realpath(image)) for image in images]
    missing = [image for image, row in zip(images, found, strict=True) if row is None]
    if missing:
        raise ValueError(
            f'{path} has no row for {missing[0]} and {len(missing) - 1} other images; add them, or leave '
            'these images out'
        )
    return {
        name: [None if row.get(column) in ('', None) else row[column] for row in found]
        for name, column in _COLUMNS.items()
    }


def labels_of_paths(pattern: str, images: Sequence[str]) -> dict[str, list[Any]]:
    """Reads facts from paths, such as ``(?P<id>\\d+)_c(?P<camera>\\d)`` from ``0002_c1s1_000451_03.jpg``.

    Args:
        pattern (str): A regular expression with some of the groups ``id``, ``camera`` and ``time`` (seconds since 1970,
            or as :func:`seconds_of_text` reads them). It is searched for anywhere in a path.
        images (Sequence[str]): Image files.

    Returns:
        dict[str, list]: Arguments of :meth:`Gallery.add`.

    Raises:
        ValueError: If it is not a pattern, lacks these groups, or is not in a path.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(f'--pattern {pattern} is not a regular expression: {error}') from error
    if not compiled.groupindex or set(compiled.groupindex) - set(_GROUPS):
        raise ValueError(f'--pattern {pattern} has the groups {sorted(compiled.groupindex)}; use some of {_GROUPS}')
    found = [compiled.search(Path(image).as_posix()) for image in images]
    missing = [image for image, match in zip(images, found, strict=True) if match is None]
    if missing:
        raise ValueError(f'--pattern {pattern} is not in {missing[0]} and {len(missing) - 1} other images')
    values = {name: [match[name] for match in found] for name in compiled.groupindex}
    if 'time' in values:
        values['time'] = [None if text is None else seconds_of_text(text) for text in values['time']]
    names = dict(id='ids', camera='cameras', time='times')
    return {names[name]: column for name, column in values.items()}


def seconds_of_text(text: str) -> float:
    """Reads a time: seconds since 1970, or a date and time such as ``2026-01-31T12:00`` (local without a zone)."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError) as error:
        raise ValueError(
            f'{text!r:.60} is not a time; give seconds since 1970, or a date and time such as 2026-01-31T12:00'
        ) from error
