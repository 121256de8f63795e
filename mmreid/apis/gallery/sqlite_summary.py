# Copyright (c) mmreid contributors. All rights reserved.
"""Sums up a gallery in an SQLite file."""

import sqlite3
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .approximate_index import read_facts

_COUNTS = 'SELECT {0}, count(*) FROM entries WHERE {0} IS NOT NULL GROUP BY {0} ORDER BY {0}'
_SPAN = 'SELECT count(*), count(DISTINCT id), min(time), max(time) FROM entries'


def summary_of(connection: sqlite3.Connection, path: Path, folder: Path) -> dict[str, Any]:
    """Counts entries, and measures files.

    Args:
        connection (sqlite3.Connection): The gallery.
        path (Path): Its file.
        folder (Path): Where the derived files are.

    Returns:
        dict[str, Any]: Plain data.
    """
    cameras, modalities = (
        dict(connection.execute(_COUNTS.format(column)).fetchall()) for column in ('camera', 'modality')
    )
    entries, identities, first, last = connection.execute(_SPAN).fetchone()
    index = read_facts(folder)
    files = [path, Path(f'{path}-wal'), *(folder.iterdir() if folder.is_dir() else ())]
    return dict(
        entries=entries,
        identities=identities,
        cameras=cameras,
        modalities=modalities,
        first_time=first,
        last_time=last,
        index=None if index is None else asdict(index),
        bytes={file.name: file.stat().st_size for file in files if file.is_file()},
    )
