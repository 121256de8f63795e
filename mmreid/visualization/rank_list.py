# Copyright (c) mmreid contributors. All rights reserved.
"""Draws a query and the gallery images that rank first for it."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from mmreid.datasets.transforms.loading import read_image

GREEN, RED, BLUE = (60, 170, 60), (50, 50, 220), (200, 120, 40)  # B G R
WHITE, BLACK = (255, 255, 255), (30, 30, 30)
CAPTION = 34
GAP = 6
FRAME = 4


@dataclass
class RankedImage:
    """One picture of a ranked list.

    Attributes:
        img_path (str): The image file.
        lines (tuple[str, str]): What to write below it.
        match (bool | None): Whether it shows the query's identity; None for the query itself.
    """

    img_path: str
    lines: tuple[str, str]
    match: bool | None = None


def draw_rank_list(images: Sequence[RankedImage], size: tuple[int, int] = (192, 96)) -> np.ndarray:
    """Draws images side by side: green frames for matches, red ones for others, blue for the query.

    Args:
        images (Sequence[RankedImage]): The query and then the gallery images, best first.
        size (tuple[int, int]): Height and width of each image in pixels. Defaults to (192, 96).

    Returns:
        np.ndarray: Shape (H, W, 3), BGR, uint8.
    """
    tiles = [_tile(image, size) for image in images]
    gap = np.full((tiles[0].shape[0], GAP, 3), WHITE, np.uint8)
    row = [part for tile in tiles for part in (gap, tile)] + [gap]
    return np.concatenate(row, axis=1)


def _tile(image: RankedImage, size: tuple[int, int]) -> np.ndarray:
    height, width = size
    colour = BLUE if image.match is None else GREEN if image.match else RED
    tile = np.full((height + 2 * FRAME + CAPTION, width + 2 * FRAME, 3), WHITE, np.uint8)
    tile[: height + 2 * FRAME] = colour
    picture = cv2.resize(read_image(image.img_path), (width, height), interpolation=cv2.INTER_AREA)
    tile[FRAME : FRAME + height, FRAME : FRAME + width] = picture
    for number, text in enumerate(image.lines):
        baseline = (FRAME, height + 2 * FRAME + 13 + 15 * number)
        cv2.putText(tile, text, baseline, cv2.FONT_HERSHEY_SIMPLEX, 0.4, BLACK, 1, cv2.LINE_AA)
    return tile
