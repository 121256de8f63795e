# Copyright (c) mmreid contributors. All rights reserved.
"""Reads an image from disk, or says which file cannot be read."""

import io
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from PIL import Image, ImageOps

from mmreid.registry import TRANSFORMS

from .image_header import size_in_header

MAX_PIXELS = 64_000_000  # 192 MB, as an image of 8000 x 8000


class CorruptImageError(ValueError):
    """An image file that cannot be decoded completely, or is too large; the message names it."""


@TRANSFORMS.register_module()
class LoadReIDImage(BaseTransform):
    """Loads an image as BGR, uint8, three channels, upright.

    Gray, palette, CMYK and 16-bit files become three channels of 8 bits, an alpha channel is dropped, and EXIF rotation
    is applied. 16 bits are scaled by their full range, so a 12-bit sensor that stores 0..4095 gives a dark image. A
    file that ends early is refused; OpenCV alone would fill the rest with gray.

    **Required Keys:**

    - img_path

    **Added Keys:**

    - img (np.ndarray): Shape (H, W, 3), BGR, uint8.
    - img_shape (tuple[int, int])
    - ori_shape (tuple[int, int])

    Args:
        max_pixels (int, optional): Most pixels of an image, checked before it is decoded, as a file of 1 MB may hold an
            image of 1 GB; None for no limit. Defaults to 64 million.

    Raises:
        ValueError: If ``max_pixels`` is not a number above 0.
    """

    def __init__(self, max_pixels: int | None = MAX_PIXELS) -> None:
        self.max_pixels = check_max_pixels(max_pixels)

    def __repr__(self) -> str:
        return f'LoadReIDImage(max_pixels={self.max_pixels})'

    def transform(self, results: dict) -> dict:
        """Loads the image; raises a CorruptImageError that names the file."""
        img = read_image(results['img_path'], self.max_pixels)
        results['img'] = img
        results['img_shape'] = results['ori_shape'] = img.shape[:2]
        return results


def check_max_pixels(max_pixels: int | None) -> int | None:
    """Returns a limit of pixels (None for no limit); raises a ValueError if it is not a number above 0."""
    is_number = isinstance(max_pixels, (int, float)) and not isinstance(max_pixels, bool)
    if max_pixels is not None and not (is_number and max_pixels > 0):
        raise ValueError(f'max_pixels={max_pixels!r} must be a number above 0, or None for no limit')
    return max_pixels


def max_pixels_of(pipeline: Sequence[dict]) -> int | None:
    """Returns the ``max_pixels`` of the transforms (configs) of a pipeline."""
    return next((step['max_pixels'] for step in pipeline if 'max_pixels' in step), MAX_PIXELS)


def read_image(path: str | Path, max_pixels: int | None = MAX_PIXELS) -> np.ndarray:
    """Decodes an image file completely, or raises.

    Args:
        path (str | Path): The file. Any characters in the path are fine.
        max_pixels (int, optional): Most pixels of an image, checked before it is decoded; None for no limit. Defaults
            to 64 million.

    Returns:
        np.ndarray: Shape (H, W, 3), BGR, uint8.

    Raises:
        CorruptImageError: If the file is missing, empty, cut off, not an image, or too large an image.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise CorruptImageError(
            f'image {path} cannot be read ({error.strerror}); restore it, or leave it out'
        ) from error
    return decode_image(data, str(path), max_pixels)


def decode_image(data: bytes, name: str, max_pixels: int | None = MAX_PIXELS) -> np.ndarray:
    """Decodes the bytes of an image file completely, or raises as :func:`read_image` does, naming ``name``."""
    size = None if max_pixels is None else size_in_header(data)
    if size is not None and size[0] * size[1] > max_pixels:
        raise CorruptImageError(
            f'image {name} has {size[0]} x {size[1]} pixels, more than max_pixels={max_pixels} allows; replace it by a '
            'smaller one, or raise max_pixels of the transform that loads it'
        )
    fault = _fault(data) or ('is not an image of a known kind' if size is None and max_pixels is not None else '')
    img = None if fault else _decode(data)
    if img is None:
        raise CorruptImageError(
            f'image {name} ({len(data)} bytes) {fault or "is not an image that OpenCV can decode"}; replace the file'
        )
    return img


def _fault(data: bytes) -> str:
    """Says what is wrong with the bytes of a file, as far as is visible without decoding."""
    if not data:
        return 'is empty'
    if data[:2] == b'\xff\xd8' and b'\xff\xd9' not in data[-64:] and data.rfind(b'\xff\xd9') <= len(data) // 2:
        return 'is a JPEG that ends early'
    if data[:8] == b'\x89PNG\r\n\x1a\n' and data.rfind(b'IEND') < 0:
        return 'is a PNG that ends early'
    return ''


def _decode(data: bytes) -> np.ndarray | None:
    """Decodes the bytes of a file; None if that fails."""
    try:
        img = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:  # the header promises more pixels than OpenCV accepts
        return None
    is_tiff = img is not None and data[:4] in (b'II*\0', b'MM\0*')
    return _unblended(data, img) if is_tiff else img


def _unblended(data: bytes, img: np.ndarray) -> np.ndarray:
    """Reads a TIFF with alpha by Pillow: OpenCV blends it with black, while it drops the alpha of other files."""
    try:
        tiff = Image.open(io.BytesIO(data))
        if tiff.mode != 'RGBA':
            return img
        return np.array(ImageOps.exif_transpose(tiff).convert('RGB'))[..., ::-1].copy()
    except (OSError, Image.DecompressionBombError):  # a TIFF that Pillow does not know, or finds too large
        return img
