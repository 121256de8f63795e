# Copyright (c) mmreid contributors. All rights reserved.
"""A memory-mapped copy of the features, for searching. It is never trusted: what differs from the database is no copy.

Layout: magic, number of rows, bytes of a row; keys (int64) and checksums (uint32) of the rows; the rows, from the next
multiple of 4096 bytes on.
"""

import os
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from mmreid.utils.atomic_io import atomic_write

_HEAD = struct.Struct('<16sQQ')
_MAGIC = b'mmreid vectors 1'
_PAGE = 4096


def write_vectors(path: Path, keys: np.ndarray, crcs: np.ndarray, blocks: Iterable[np.ndarray], row_bytes: int) -> None:
    """Writes a copy, block by block; raises OSError if that fails.

    Args:
        path (Path): The file, in an existing folder.
        keys (np.ndarray): Shape (N,), int64.
        crcs (np.ndarray): Shape (N,), uint32.
        blocks (Iterable[np.ndarray]): The N features in order, several at a time.
        row_bytes (int): Bytes of one feature.
    """
    head = _HEAD.pack(_MAGIC, len(keys), row_bytes) + keys.tobytes() + crcs.tobytes()

    def write(file) -> None:
        file.write(head.ljust(_begin(len(keys)), b'\0'))
        for block in blocks:
            file.write(np.ascontiguousarray(block).data)

    atomic_write(path, write)


def open_vectors(
    path: Path, keys: np.ndarray, crcs: np.ndarray, shape: tuple[int, ...], dtype: np.dtype
) -> np.ndarray | None:
    """Maps a copy into memory, if it is one.

    Args:
        path (Path): The file.
        keys (np.ndarray): Keys that the database has, (N,).
        crcs (np.ndarray): Its checksums.
        shape (tuple[int, ...]): Shape of a feature.
        dtype (np.dtype): Its type.

    Returns:
        np.ndarray | None: Features of the first M of these keys, M up to N; None if there is no file, or it is stale
        or damaged.
    """
    row_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    try:
        with open(path, 'rb') as file:
            magic, count, found_bytes = _HEAD.unpack(file.read(_HEAD.size))
            size = os.fstat(file.fileno()).st_size
            if (magic, found_bytes) != (_MAGIC, row_bytes) or not 0 < count <= len(keys):
                return None
            if size != _begin(count) + count * row_bytes:
                return None
            same_keys = file.read(8 * count) == keys[:count].tobytes()
            if not same_keys or file.read(4 * count) != crcs[:count].tobytes():
                return None
        # Private to this process, so that nobody can write to it; torch asks for an array that could be written to.
        rows = np.memmap(path, dtype, 'c', _begin(count), (count, *shape))
    except (OSError, struct.error, ValueError):
        return None
    return rows if rows_match(rows, crcs[:count]) else None


def rows_match(rows: np.ndarray, crcs: np.ndarray) -> bool:
    """Whether features (N, ...) have these checksums (N,)."""
    step = rows[0].nbytes if len(rows) else 1
    content = memoryview(np.ascontiguousarray(rows).reshape(-1).view(np.uint8))
    return all(zlib.crc32(content[i * step : (i + 1) * step]) == crc for i, crc in enumerate(crcs.tolist()))


def _begin(count: int) -> int:
    return -(-(_HEAD.size + 12 * count) // _PAGE) * _PAGE
