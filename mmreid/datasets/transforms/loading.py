# Copyright (c) mmreid contributors. All rights reserved.
"""Reads an image from disk, and says which file it was when it cannot be read."""

import io
from pathlib import Path

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from PIL import Image, ImageOps

from mmreid.registry import TRANSFORMS


class CorruptImageError(ValueError):
    """An image file that cannot be decoded as a whole; the message names it."""


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
    """

    def transform(self, results: dict) -> dict:
        """Loads the image.

        Args:
            results (dict): The record.

        Returns:
            dict: The record with the image.

        Raises:
            CorruptImageError: If the file is missing, empty, cut off or no image.
        """
        img = read_image(results['img_path'])
        results['img'] = img
        results['img_shape'] = results['ori_shape'] = img.shape[:2]
        return results


def read_image(path: str | Path) -> np.ndarray:
    """Decodes an image file as a whole, or raises.

    Args:
        path (str | Path): The file. Any characters in the path are fine.

    Returns:
        np.ndarray: Shape (H, W, 3), BGR, uint8.

    Raises:
        CorruptImageError: If the file is missing, empty, cut off or no image.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise CorruptImageError(f'image {path} cannot be read ({error.strerror}); restore or unlist it') from error
    fault = _fault(data)
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
    except OSError:  # a kind of TIFF that Pillow does not know
        return img
