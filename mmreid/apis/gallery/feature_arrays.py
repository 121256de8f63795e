# Copyright (c) mmreid contributors. All rights reserved.
"""The features of a gallery as arrays: most of them in a memory-mapped file, the newest ones in memory."""

import logging
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
from mmengine.logging import print_log

from .columns import Columns
from .derived_files import VECTOR_FILES, remove_files
from .store import GalleryDamagedError
from .vector_file import open_vectors, write_vectors

_ROWS = 'SELECT key, feature FROM features WHERE key > ? ORDER BY key'
_BLOCK_BYTES = 2**26
#: The file is written anew when this many features, and this part of its own number, are not in it.
MIN_NEW, PART_NEW = 4096, 0.25


class FeatureArrays:
    """Features of N entries in the order of their keys, as one or two arrays.

    Args:
        place (str): The gallery, for messages.
        folder (Path): Where the file is; made if it is absent.
        shape (tuple[int, ...]): Shape of a feature.
        dtype (np.dtype): Its type.
    """

    def __init__(self, place: str, folder: Path, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self.place, self.folder, self.shape, self.dtype = place, folder, shape, np.dtype(dtype)
        self.row_bytes = int(np.prod(shape)) * self.dtype.itemsize
        self.mapped = self.newest = np.empty((0, *shape), self.dtype)

    def __len__(self) -> int:
        return len(self.mapped) + len(self.newest)

    @property
    def path(self) -> Path:
        """Path: The memory-mapped file."""
        return self.folder / 'vectors'

    def refresh(self, connection: sqlite3.Connection, columns: Columns) -> None:
        """Reads the features that ``columns`` has and these arrays lack."""
        if not len(self):
            mapped = open_vectors(self.path, columns.keys, columns.crcs, self.shape, self.dtype)
            if mapped is None:  # it may hold what was deleted since
                with suppress(OSError):
                    remove_files(self.folder, VECTOR_FILES)
            else:
                self.mapped = mapped
        outside = len(columns) - len(self.mapped)
        if outside >= max(MIN_NEW, PART_NEW * len(self.mapped)) and self._write(connection, columns):
            return
        if len(self) < len(columns):
            blocks = self._blocks(connection, columns, len(self), len(columns))
            self.newest = np.concatenate([self.newest, *blocks])

    def _write(self, connection: sqlite3.Connection, columns: Columns) -> bool:
        """Writes the file anew and maps it; returns whether that worked."""

        def blocks() -> Iterator[np.ndarray]:
            yield self.mapped
            yield from self._blocks(connection, columns, len(self.mapped), len(columns))

        try:
            self.folder.mkdir(exist_ok=True)
            write_vectors(self.path, columns.keys, columns.crcs, blocks(), self.row_bytes)
        except OSError as error:
            print_log(
                f'{self.path} cannot be written ({error.strerror}), so the features are kept in memory',
                'current',
                logging.WARNING,
            )
            return False
        mapped = open_vectors(self.path, columns.keys, columns.crcs, self.shape, self.dtype)
        if mapped is None or len(mapped) < len(columns):  # another process has written it in the meantime
            return False
        self.mapped, self.newest = mapped, self.newest[:0]
        return True

    def _blocks(self, connection: sqlite3.Connection, columns: Columns, first: int, end: int) -> Iterator[np.ndarray]:
        """Reads the features of entries ``first`` to ``end`` from the database, and compares their checksums."""
        cursor = connection.execute(_ROWS, (int(columns.keys[first - 1]) if first else -1,))
        step = max(1, _BLOCK_BYTES // self.row_bytes)
        for start in range(first, end, step):
            stop = min(start + step, end)
            rows = cursor.fetchmany(stop - start)
            if [key for key, _ in rows] != columns.keys[start:stop].tolist():
                raise GalleryDamagedError(f'{self.place} is damaged: entries lack their features; restore a backup')
            for (key, blob), crc in zip(rows, columns.crcs[start:stop].tolist(), strict=True):
                if not isinstance(blob, bytes) or len(blob) != self.row_bytes or zlib.crc32(blob) != crc:
                    raise GalleryDamagedError(
                        f'{self.place} is damaged: the feature of entry {key} is not the one that was stored; restore '
                        'a backup, or delete that entry'
                    )
            yield np.frombuffer(b''.join(blob for _, blob in rows), self.dtype).reshape(-1, *self.shape)
