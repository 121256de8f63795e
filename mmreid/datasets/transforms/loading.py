# Copyright (c) mmreid contributors. All rights reserved.
"""Reads an image from disk, and says which file it was when it cannot be read."""

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
    """An image file that cannot be decoded as a whole, or may not be; the message names it."""


@TRANSFORMS.register_module()
class LoadReIDImage(BaseTransform):
    """Loads an image as BGR, uint8, three channels, upright.

    Gray, palette, CMYK and 16-bit files become three channels of 8 bits, an alpha channel is left out, and EXIF
    rotation is applied. 16 bits are scaled by their whole range: a sensor of 12 bits that stores 0..4095 gives a dark
    image. A file that ends early is refused, where OpenCV alone would fill its rest with gray.

    **Required Keys:**

    - img_path

    **Added Keys:**

    - img (np.ndarray): Shape (H, W, 3), BGR, uint8.
    - img_shape (tuple[int, int])
    - ori_shape (tuple[int, int])

    Args:
        max_pixels (int, optional): Refuse an image of more pixels, before it is decoded; None for no limit. A file of
            1 MB may be an image of 1 GB. Defaults to 64 million.

    Raises:
        ValueError: If ``max_pixels`` is no number above 0.
    """

    def __init__(self, max_pixels: int | None = MAX_PIXELS) -> None:
        self.max_pixels = check_max_pixels(max_pixels)

    def __repr__(self) -> str:
        return f'LoadReIDImage(max_pixels={self.max_pixels})'

    def transform(self, results: dict) -> dict:
        """Loads the image.

        Args:
            results (dict): The record.

        Returns:
            dict: The record with the image.

        Raises:
            CorruptImageError: If the file is missing, empty, cut off, no image, or an image that is too large.
        """
        img = read_image(results['img_path'], self.max_pixels)
        results['img'] = img
        results['img_shape'] = results['ori_shape'] = img.shape[:2]
        return results


def check_max_pixels(max_pixels: int | None) -> int | None:
    """Refuses a limit that is none.

    Args:
        max_pixels (int, optional): The limit, None for none.

    Returns:
        int | None: The same.

    Raises:
        ValueError: If it is no number above 0.
    """
    is_number = isinstance(max_pixels, (int, float)) and not isinstance(max_pixels, bool)
    if max_pixels is not None and not (is_number and max_pixels > 0):
        raise ValueError(f'max_pixels={max_pixels!r} must be a number above 0, or None for no limit')
    return max_pixels


def max_pixels_of(pipeline: Sequence[dict]) -> int | None:
    """Tells the largest image that a pipeline loads.

    Args:
        pipeline (Sequence[dict]): Configs of its transforms.

    Returns:
        int | None: Number of pixels, None for no limit.
    """
    return next((step['max_pixels'] for step in pipeline if 'max_pixels' in step), MAX_PIXELS)


def read_image(path: str | Path, max_pixels: int | None = MAX_PIXELS) -> np.ndarray:
    """Decodes an image file as a whole, or raises.

    Args:
        path (str | Path): The file. Any characters in the path are fine.
        max_pixels (int, optional): Refuse an image of more pixels, before it is decoded; None for no limit. Defaults to
            64 million.

    Returns:
        np.ndarray: Shape (H, W, 3), BGR, uint8.

    Raises:
        CorruptImageError: If the file is missing, empty, cut off, no image, or an image that is too large.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise CorruptImageError(f'image {path} cannot be read ({error.strerror}); restore or unlist it') from error
    size = None if max_pixels is None else size_in_header(data)
    if size is not None and size[0] * size[1] > max_pixels:
        raise CorruptImageError(
            f'image {path} has {size[0]} x {size[1]} pixels, more than max_pixels={max_pixels} allows; replace it by a '
            'smaller one, or raise max_pixels of what loads it'
        )
    fault = _fault(data) or ('is not an image of a known kind' if size is None and max_pixels is not None else '')
    img = None if fault else _decode(data)
    if img is None:
        raise CorruptImageError(
            f'image {path} ({len(data)} bytes) {fault or "is not an image that OpenCV can decode"}; replace the file'
        )
    return img


def _fault(data: bytes) -> str:
    """Says what is wrong with the bytes of a file, as far as it shows without decoding."""
    if not data:
        return 'is empty'
    if data[:2] == b'\xff\xd8' and b'\xff\xd9' not in data[-64:] and data.rfind(b'\xff\xd9') <= len(data) // 2:
        return 'is a JPEG that ends early'
    if data[:8] == b'\x89PNG\r\n\x1a\n' and data.rfind(b'IEND') < 0:
        return 'is a PNG that ends early'
    return ''


def _decode(data: bytes) -> np.ndarray | None:
    """Decodes the bytes of a file; None if that cannot be done."""
    try:
        img = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:  # the header promises more pixels than OpenCV accepts
        return None
    is_tiff = img is not None and data[:4] in (b'II*\0', b'MM\0*')
    return _unblended(data, img) if is_tiff else img


def _unblended(data: bytes, img: np.ndarray) -> np.ndarray:
    """Reads a TIFF with alpha by Pillow: OpenCV blends it with black, where it leaves the alpha of other files out."""
    try:
        tiff = Image.open(io.BytesIO(data))
        if tiff.mode != 'RGBA':
            return img
        return np.array(ImageOps.exif_transpose(tiff).convert('RGB'))[..., ::-1].copy()
    except (OSError, Image.DecompressionBombError):  # a kind of TIFF that Pillow does not know, or finds too large
        return img
