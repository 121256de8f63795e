# Copyright (c) mmreid contributors. All rights reserved.
"""Draws heat maps over images."""

from collections.abc import Sequence

import cv2
import numpy as np

from .image_row import SIZE, draw_row, heat_colors

OPACITY = 0.45


def draw_heat_maps(
    images: Sequence[np.ndarray],
    heats: Sequence[np.ndarray],
    lines: Sequence[str] = (),
    size: tuple[int, int] = SIZE,
) -> np.ndarray:
    """Draws each image, and beside it the same with its heat from blue (cold) to red (hot).

    Args:
        images (Sequence[np.ndarray]): Images (H, W, 3), BGR, uint8.
        heats (Sequence[np.ndarray]): Heat of each, shape (H', W'), from 0 to 1.
        lines (Sequence[str]): Lines of text below. Defaults to ().
        size (tuple[int, int]): Height and width of each image in pixels. Defaults to (384, 192).

    Returns:
        np.ndarray: Shape (H, W, 3), BGR, uint8.
    """
    parts = []
    for image, heat in zip(images, heats, strict=True):
        shown = cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)
        hot = heat_colors(cv2.resize(heat, size[::-1], interpolation=cv2.INTER_LINEAR))
        parts += [shown, cv2.addWeighted(hot, OPACITY, shown, 1 - OPACITY, 0)]
    return draw_row(parts, ('cold', 'hot'), lines, size)[0]
