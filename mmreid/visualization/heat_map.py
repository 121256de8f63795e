# Copyright (c) mmreid contributors. All rights reserved.
"""Draws heat maps over images, in the look of the correspondences."""

from collections.abc import Sequence

import cv2
import numpy as np

from .captions import write_caption
from .rank_list import CAPTION, GAP, LINE, WHITE

OPACITY = 0.45


def draw_heat_maps(
    images: Sequence[np.ndarray],
    heats: Sequence[np.ndarray],
    lines: Sequence[str] = (),
    size: tuple[int, int] = (384, 192),
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
    height, width = size
    parts = []
    for image, heat in zip(images, heats, strict=True):
        shown = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        levels = (255 * cv2.resize(heat, (width, height), interpolation=cv2.INTER_LINEAR)).clip(0, 255).astype(np.uint8)
        hot = cv2.applyColorMap(levels, cv2.COLORMAP_JET)
        parts += [shown, cv2.addWeighted(hot, OPACITY, shown, 1 - OPACITY, 0)]
    bottom = CAPTION + LINE * len(lines)
    canvas = np.full((height + 2 * GAP + bottom, len(parts) * (width + GAP) + GAP, 3), WHITE, np.uint8)
    for number, part in enumerate(parts):
        left = GAP + number * (width + GAP)
        canvas[GAP : GAP + height, left : left + width] = part
    for number, text in enumerate(lines):
        write_caption(canvas, text, (GAP, height + 2 * GAP + 12 + LINE * number))
    return canvas
