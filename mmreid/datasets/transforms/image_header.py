# Copyright (c) mmreid contributors. All rights reserved.
"""Reads the size of an image from its header, as a small file may hold an image too large to decode."""

import io
import re
import struct

from PIL import Image

_TIFF_WIDTHS, _TIFF_HEIGHTS = (256, 322), (257, 323)  # tags: of the image, of its tiles
_TIFF_KINDS = {3: 'H', 4: 'I'}


def size_in_header(data: bytes) -> tuple[int, int] | None:
    """Reads the size of an image without decoding it.

    Args:
        data (bytes): The file.

    Returns:
        tuple[int, int] | None: Width and height, of a TIFF with larger tiles those of the tiles; None if the file is
        damaged or of an unknown format.
    """
    try:
        if data[:8] == b'\x89PNG\r\n\x1a\n':
            return struct.unpack_from('>II', data, 16)
        if data[:2] == b'\xff\xd8':
            return _jpeg_size(data)
        if data[:2] == b'BM':
            width, height = struct.unpack_from('<HH' if data[14] == 12 else '<ii', data, 18)
            return abs(width), abs(height)
        if data[:4] in (b'II*\0', b'MM\0*'):
            return _tiff_size(data)
    except (struct.error, IndexError):
        return None
    return _size_by_pillow(data)


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    place = 2
    while True:
        place = data.find(b'\xff', place)
        while 0 <= place < len(data) and data[place] == 0xFF:
            place += 1
        if not 0 <= place < len(data):
            return None
        marker = data[place]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # the start of a frame
            height, width = struct.unpack_from('>HH', data, place + 4)
            return width, height
        if marker == 0xDA:  # pixels
            return None
        stands_alone = marker in (0x00, 0x01) or 0xD0 <= marker <= 0xD8  # all others state the length of what follows
        place += 1 if stands_alone else 1 + struct.unpack_from('>H', data, place + 1)[0]


def _tiff_size(data: bytes) -> tuple[int, int] | None:
    order = '<' if data[:2] == b'II' else '>'
    (first,) = struct.unpack_from(f'{order}I', data, 4)
    (count,) = struct.unpack_from(f'{order}H', data, first)
    widths, heights = [0], [0]
    for entry in range(first + 2, first + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from(f'{order}HH', data, entry)
        if kind in _TIFF_KINDS and tag in _TIFF_WIDTHS + _TIFF_HEIGHTS:
            (value,) = struct.unpack_from(order + _TIFF_KINDS[kind], data, entry + 8)
            (widths if tag in _TIFF_WIDTHS else heights).append(value)
    return (max(widths), max(heights)) if max(widths) and max(heights) else None


def _size_by_pillow(data: bytes) -> tuple[int, int] | None:
    try:
        return Image.open(io.BytesIO(data)).size
    except Image.DecompressionBombError as error:  # Pillow has a limit of its own, and only names the product
        pixels = re.search(r'\d+', str(error))
        return (int(pixels[0]), 1) if pixels else None
    except (OSError, ValueError, SyntaxError, struct.error):
        return None
