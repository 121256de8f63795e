# Copyright (c) mmreid contributors. All rights reserved.
"""Everything that an image can be given as: a file, folder, glob, array, PIL image, box of a frame, or many of these.

All of it becomes named images that are read when they are needed: BGR, uint8.
"""

import glob
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageOps

from mmreid.datasets.readers.image_files import IMAGE_SUFFIXES, list_folders, list_images
from mmreid.datasets.transforms.loading import read_image

CHANNEL_ORDERS = ('bgr', 'rgb')


@dataclass(frozen=True)
class NamedImage:
    """An image that is read when it is needed.

    Attributes:
        name (str): Its path, or for an image without file its place, such as ``'image 3'``.
        read (Callable[[], np.ndarray]): Returns it as (H, W, 3), BGR, uint8. Raises ``CorruptImageError`` for a file
            that cannot be decoded.
    """

    name: str
    read: Callable[[], np.ndarray]


def named_images(inputs: Any, channel_order: str | None, max_pixels: int | None) -> Iterator[NamedImage]:
    """Goes through images one by one; arrays must state their ``channel_order``, ``'bgr'`` or ``'rgb'``.

    Raises:
        TypeError: If something is not an image.
        ValueError: If a folder or glob has no images, or an array is not an image or does not state its channel order.
    """
    if channel_order not in (None, *CHANNEL_ORDERS):
        raise ValueError(f"channel_order={channel_order!r} is unknown; use 'bgr' (OpenCV) or 'rgb'")
    many = not isinstance(inputs, (str, os.PathLike, np.ndarray, Image.Image))
    if many and not isinstance(inputs, Iterable):
        raise TypeError(
            f'a {type(inputs).__name__} is not an image; give a path, an array, a PIL image or many of them'
        )
    count = 0
    for entry in inputs if many else [inputs]:
        for image in _images_of(entry, count, channel_order, max_pixels):
            yield image
            count += 1
    if not count:
        raise ValueError('there are no images: the inputs are empty')


def _images_of(entry: Any, count: int, channel_order: str | None, max_pixels: int | None) -> Iterator[NamedImage]:
    if isinstance(entry, (str, os.PathLike)):
        for path in _files_of(os.fspath(entry)):
            yield NamedImage(path, partial(read_image, path, max_pixels))
    elif isinstance(entry, Image.Image):
        if entry.mode == 'F':
            raise TypeError(f"image {count} has the mode 'F', whose range is unknown; convert it to 'RGB'")
        yield NamedImage(f'image {count}', partial(_from_pil, entry))
    elif isinstance(entry, np.ndarray):
        for array in entry if entry.ndim == 4 else [entry]:
            name = f'image {count}'
            _check_array(array, name, channel_order)
            yield NamedImage(name, partial(_from_array, array, channel_order))
            count += 1
    else:
        raise TypeError(f'image {count} is a {type(entry).__name__}; give a path, a NumPy array or a PIL image')


def _files_of(path: str) -> Iterator[str]:
    if os.path.isdir(path):
        found = _below(Path(path), set())
    elif glob.has_magic(path) and not os.path.exists(path):
        found = iter(sorted(name for name in glob.glob(path, recursive=True) if name.lower().endswith(IMAGE_SUFFIXES)))
    else:
        yield path  # a missing file is explained by whoever reads it
        return
    first = next(found, None)
    if first is None:
        raise ValueError(f'{path} has no images; what is read are files *{", *".join(IMAGE_SUFFIXES)}')
    yield first
    yield from found


def _below(folder: Path, seen: set[str]) -> Iterator[str]:
    """Goes through the images of a folder and of those below, in the order of their names; links may form a circle."""
    place = os.path.realpath(folder)
    if place in seen:
        return
    seen.add(place)
    for name in list_images(folder):
        yield str(folder / name)
    for name in list_folders(folder):
        yield from _below(folder / name, seen)


def _check_array(array: np.ndarray, name: str, channel_order: str | None) -> None:
    is_image = array.dtype == np.uint8 and (array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3))
    if not is_image or not array.size:
        raise ValueError(
            f'{name} is an array of shape {array.shape} and type {array.dtype}; an image is (H, W, 3) or (H, W), uint8'
        )
    if array.ndim == 3 and channel_order is None:
        raise ValueError(f"{name} is an array: state its channels by channel_order='bgr' (as OpenCV reads) or 'rgb'")


def _from_array(array: np.ndarray, channel_order: str | None) -> np.ndarray:
    if array.ndim == 2:
        return cv2.cvtColor(np.ascontiguousarray(array), cv2.COLOR_GRAY2BGR)
    return array[..., ::-1] if channel_order == 'rgb' else array


def _from_pil(image: Image.Image) -> np.ndarray:
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith('I'):  # 16 bits, of which PIL would clip the upper half; OpenCV drops the lower one
        gray = np.asarray(image).astype(np.int64).clip(0, 65535) >> 8
        return cv2.cvtColor(gray.astype(np.uint8), cv2.COLOR_GRAY2BGR)
    return np.asarray(image.convert('RGB'))[..., ::-1]


def boxes_of(frame: NamedImage, boxes: Any) -> list[NamedImage]:
    """Cuts boxes (N, 4 or more): left, top, right, bottom in pixels, out of a frame; what lies outside is cut off.

    Raises:
        ValueError: If a box is empty, not a number, or has no pixel inside of the frame.
    """
    boxes = np.asarray(boxes, dtype=np.float64)
    if boxes.size == 0:
        return []
    if boxes.ndim != 2 or boxes.shape[1] < 4:
        raise ValueError(f'boxes have the shape {boxes.shape}; give (N, 4): left, top, right, bottom in pixels')
    image = frame.read()
    return [_crop(image, box, f'box {index}') for index, box in enumerate(boxes[:, :4].tolist())]


def _crop(image: np.ndarray, box: Sequence[float], name: str) -> NamedImage:
    height, width = image.shape[:2]
    text = f'{name} ({", ".join(f"{value:g}" for value in box)})'
    if not np.isfinite(box).all() or box[0] >= box[2] or box[1] >= box[3]:
        raise ValueError(
            f'{text} is empty; a box is left, top, right, bottom in pixels, with left < right, top < bottom'
        )
    left, top = max(0, int(np.floor(box[0]))), max(0, int(np.floor(box[1])))
    right, bottom = min(width, int(np.ceil(box[2]))), min(height, int(np.ceil(box[3])))
    if left >= right or top >= bottom:
        raise ValueError(f'{text} lies outside of the frame of {width} x {height} pixels; leave it out')
    crop = image[top:bottom, left:right]
    return NamedImage(name, lambda: crop)
