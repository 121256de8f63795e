# Copyright (c) mmreid contributors. All rights reserved.
"""Writes captions below images, in any alphabet of the available fonts, shortened to the available width."""

from functools import cache

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .fonts import font_for

INK = (30, 30, 30)  # B G R
FONT = cv2.FONT_HERSHEY_SIMPLEX
SCALE = 0.4  # usual size of the letters, as for :func:`cv2.putText`
POINTS = 28  # size of other fonts that matches a scale of 1 of OpenCV
DOTS = '..'


def write_caption(image: np.ndarray, text: str, place: tuple[int, int], scale: float = SCALE) -> None:
    """Writes a line of text into an image; text beyond the right border is replaced by ``..``.

    Args:
        image (np.ndarray): Shape (H, W, 3), BGR, uint8, contiguous; changed in place.
        text (str): The line.
        place (tuple[int, int]): Left end of its baseline, x and y in pixels.
        scale (float): Size of the letters, as for :func:`cv2.putText`. Defaults to 0.4.
    """
    room = image.shape[1] - place[0]
    font = None
    if not text.isascii():
        text, path = font_for(text)
        font = _font(path, scale)
    if _width(text, font, scale) > room:
        fits = (count for count in range(len(text), 0, -1) if _width(text[:count] + DOTS, font, scale) <= room)
        text = text[: next(fits, 0)] + DOTS
    if font is None:
        cv2.putText(image, text, place, FONT, scale, INK, 1, cv2.LINE_AA)
        return
    canvas = Image.fromarray(image)
    ImageDraw.Draw(canvas).text(place, text, INK, font, anchor='ls')
    image[:] = np.asarray(canvas)


def _width(text: str, font: ImageFont.FreeTypeFont | None, scale: float) -> float:
    return cv2.getTextSize(text, FONT, scale, 1)[0][0] if font is None else font.getlength(text)


@cache
def _font(path: str, scale: float) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, round(POINTS * scale))
