# Copyright (c) mmreid contributors. All rights reserved.
"""Reads the arrays of MATLAB files, whose compressed parts may claim any size."""

import struct
import zlib
from pathlib import Path
from typing import Any

MAX_BYTES = 2**28  # unpacked; the files of the data sets have a hundredth of this
_HEADER, _TAG, _COMPRESSED = 128, 8, 15


def read_mat(path: str | Path) -> dict[str, Any]:
    """Reads the variables of a MATLAB file of version 4 to 7.

    Raises:
        ImportError: If SciPy is missing, which reads such files.
        ValueError: If the file is broken, or unpacks to more than :data:`MAX_BYTES`.
    """
    from scipy.io import loadmat  # noqa: TID251  measured first

    try:
        size = _unpacked_size(Path(path).read_bytes())
        content = loadmat(str(path)) if size <= MAX_BYTES else {}
    except Exception as error:  # SciPy raises whatever the broken bytes lead to
        raise ValueError(
            f'{path} is not a MATLAB file that SciPy can read ({_brief(error)}); unpack it again'
        ) from error
    if size > MAX_BYTES:
        raise ValueError(f'{path} unpacks to more than {MAX_BYTES} bytes, so it is not a file of this data set')
    return {key: value for key, value in content.items() if not key.startswith('__')}


def _unpacked_size(data: bytes) -> int:
    """Counts the unpacked bytes of a file of version 5 or later, up to the limit; others are not compressed."""
    order = {b'IM': '<', b'MI': '>'}.get(data[_HEADER - 2 : _HEADER])
    size, place = len(data), _HEADER
    while order and place + _TAG <= len(data) and size <= MAX_BYTES:
        kind, count = struct.unpack_from(f'{order}II', data, place)
        if kind == _COMPRESSED:
            size += _inflated(data[place + _TAG : place + _TAG + count], MAX_BYTES - size + 1)
        place += _TAG + count
    return size


def _inflated(data: bytes, limit: int) -> int:
    unpacker, size = zlib.decompressobj(), 0
    while data and size <= limit:
        size += len(unpacker.decompress(data, 2**20))
        data = unpacker.unconsumed_tail
    return size


def _brief(error: Exception) -> str:
    return f'{type(error).__name__}: {str(error).partition(chr(10))[0][:150]}'
