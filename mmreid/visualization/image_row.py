# Copyright (c) mmreid contributors. All rights reserved.
"""Draws images in a row above a color scale and text: the look that heat maps and correspondences share."""

from collections.abc import Sequence

import cv2
import numpy as np

from .captions import FONT, SCALE, write_caption
from .rank_list import CAPTION, GAP, LINE, WHITE

SIZE = (384, 192)  # height and width of an image in pixels
COLDEST = 55  # of 255 colors; the darker blues below cannot be seen on clothes
BAR = (8, 96)  # height and width of the color scale in pixels


def heat_colors(fraction: np.ndarray | float) -> np.ndarray:
    """Returns the colors (..., 3), B G R, uint8, of values from 0 (blue) to 1 (red), whatever their shape."""
    values = np.asarray(fraction, np.float32)
    levels = (COLDEST + (255 - COLDEST) * values.clip(0, 1)).round().astype(np.uint8)
    return cv2.applyColorMap(levels.reshape(-1, 1), cv2.COLORMAP_JET).reshape(*values.shape, 3)


def draw_row(
    images: Sequence[np.ndarray],
    scale: tuple[str, str],
    lines: Sequence[str] = (),
    size: tuple[int, int] = SIZE,
    gap: int = GAP,
) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Draws images side by side; below them the color scale, and lines of text.

    Args:
        images (Sequence[np.ndarray]): Images (H, W, 3), BGR, uint8.
        scale (tuple[str, str]): What blue and red stand for.
        lines (Sequence[str]): Lines of text. Defaults to ().
        size (tuple[int, int]): Height and width of each image in pixels. Defaults to (384, 192).
        gap (int): Pixels between the images. Defaults to 6.

    Returns:
        tuple[np.ndarray, list[tuple[int, int]]]: The drawing, (H, W, 3), BGR, uint8; and x and y of the upper left
        corner of each image in it.
    """
    height, width = size
    corners = [(GAP + number * (width + gap), GAP) for number in range(len(images))]
    bottom = CAPTION + LINE * (1 + len(lines))
    canvas = np.full((height + 2 * GAP + bottom, corners[-1][0] + width + GAP, 3), WHITE, np.uint8)
    for image, (left, top) in zip(images, corners, strict=True):
        shown = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        canvas[top : top + height, left : left + width] = shown
    baseline = height + 2 * GAP + 12
    left = GAP + _write(canvas, scale[0], (GAP, baseline))
    bar = canvas[baseline - BAR[0] : baseline, left : left + BAR[1]]
    bar[:] = heat_colors(np.linspace(0, 1, BAR[1]))[: bar.shape[1]]
    _write(canvas, scale[1], (left + BAR[1] + GAP, baseline))
    for number, text in enumerate(lines, 1):
        write_caption(canvas, text, (GAP, baseline + LINE * number))
    return canvas, corners


def _write(canvas: np.ndarray, text: str, place: tuple[int, int]) -> int:
    """Writes a short text, and returns the pixels to what comes next."""
    write_caption(canvas, text, place)
    return cv2.getTextSize(text, FONT, SCALE, 1)[0][0] + GAP
