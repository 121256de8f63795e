# Copyright (c) mmreid contributors. All rights reserved.
"""Small copies of the images of a gallery, made when they are asked for and kept nowhere."""

import os

import cv2

from mmreid.datasets import CorruptImageError
from mmreid.datasets.transforms.loading import read_image

from ..gallery import Gallery

SIDE = 256  # most pixels of a side


def thumbnail(gallery: Gallery, key: str, max_pixels: int) -> bytes | None:
    """Returns the image of an entry as a small JPEG; None if there is no such entry, or its image cannot be read.

    Only the gallery says which files there are: no path comes from a request.
    """
    if not key.isdecimal() or not key.isascii() or len(key) > 19 or int(key) >= 2**63:
        return None
    entry = gallery.get([int(key)]).get(int(key))
    if entry is None or entry.image is None or not os.path.isfile(entry.image):
        return None
    try:
        pixels = read_image(entry.image, max_pixels)
    except CorruptImageError:
        return None
    scale = min(1.0, SIDE / max(pixels.shape[:2]))
    size = [max(1, round(side * scale)) for side in pixels.shape[1::-1]]
    return cv2.imencode('.jpg', cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))[1].tobytes()
