# Copyright (c) mmreid contributors. All rights reserved.
"""Writes captions below images, in any alphabet of DejaVu Sans, shortened to the available width."""

from functools import cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

INK = (30, 30, 30)  # B G R
FONT = cv2.FONT_HERSHEY_SIMPLEX
POINTS = 28  # size of DejaVu Sans that matches a scale of 1 of OpenCV
DOTS = '..'


def write_caption(image: np.ndarray, text: str, place: tuple[int, int], scale: float = 0.4) -> None:
    """Writes a line of text into an image; text beyond the right border is replaced by ``..``.

    Args:
        image (np.ndarray): Shape (H, W, 3), BGR, uint8, contiguous; changed in place.
        text (str): The line.
        place (tuple[int, int]): Left end of its baseline, x and y in pixels.
        scale (float): Size of the letters, as for :func:`cv2.putText`. Defaults to 0.4.
    """
    room = image.shape[1] - place[0]
    if _width(text, scale) > room:
        keep = next((count for count in range(len(text), 0, -1) if _width(text[:count] + DOTS, scale) <= room), 0)
        text = text[:keep] + DOTS
    if text.isascii():
        cv2.putText(image, text, place, FONT, scale, INK, 1, cv2.LINE_AA)
        return
    canvas = Image.fromarray(image)
    ImageDraw.Draw(canvas).text(place, text, INK, _font(scale), anchor='ls')
    image[:] = np.asarray(canvas)


def _width(text: str, scale: float) -> float:
    return cv2.getTextSize(text, FONT, scale, 1)[0][0] if text.isascii() else _font(scale).getlength(text)


@cache
def _font(scale: float) -> ImageFont.FreeTypeFont:
    """Loads the font from matplotlib."""
    import matplotlib  # here, so that importing mmreid does not load it

    path = Path(matplotlib.get_data_path()) / 'fonts' / 'ttf' / 'DejaVuSans.ttf'
    return ImageFont.truetype(str(path), round(POINTS * scale))
