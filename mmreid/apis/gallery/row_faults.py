# Copyright (c) mmreid contributors. All rights reserved.
"""Finds what is wrong with the rows of a gallery."""

import sqlite3
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .entries import GalleryEntry
from .model_info import GalleryFacts

_COUNTS = {
    'entries without a feature': 'SELECT count(*) FROM entries WHERE key NOT IN (SELECT key FROM features)',
    'features without an entry': 'SELECT count(*) FROM features WHERE key NOT IN (SELECT key FROM entries)',
}
_ROWS = (
    'SELECT crc, feature, key, id, camera, time, modality, image, extra FROM entries JOIN features USING (key) '
    'ORDER BY key'
)


def row_faults(
    connection: sqlite3.Connection, facts: GalleryFacts, entry_of: Callable[[Sequence[Any]], GalleryEntry]
) -> Iterator[str]:
    """Reads all rows; yields a sentence for each fault.

    Args:
        connection (sqlite3.Connection): The gallery.
        facts (GalleryFacts): What holds for all features.
        entry_of (Callable): Makes an entry of the columns from ``key`` on; raises ValueError if it cannot.

    Yields:
        str: A fault.
    """
    for what, statement in _COUNTS.items():
        count = connection.execute(statement).fetchone()[0]
        if count:
            yield f'there are {count} {what}'
    size = None if facts.shape is None else int(np.prod(facts.shape)) * facts.dtype.itemsize
    for crc, feature, *row in connection.execute(_ROWS):
        try:
            entry_of(row)
        except ValueError as error:
            yield str(error)
        fault = _feature_fault(feature, crc, size, facts.dtype)
        if fault:
            yield f'the feature of entry {row[0]} {fault}'


def _feature_fault(feature: Any, crc: int, size: int | None, dtype: np.dtype) -> str | None:
    if not isinstance(feature, bytes) or len(feature) != size:
        return f'has another size than {size} bytes'
    if zlib.crc32(feature) != crc:
        return 'is not the one that was stored'
    return None if np.isfinite(np.frombuffer(feature, dtype)).all() else 'is NaN or infinite'
