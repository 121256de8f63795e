# Copyright (c) mmreid contributors. All rights reserved.
"""Draws a query and its first gallery images."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mmreid.datasets.transforms.loading import MAX_PIXELS, CorruptImageError, read_image
from mmreid.utils.atomic_io import atomic_write

from .captions import write_caption

GREEN, RED, BLUE = (60, 170, 60), (50, 50, 220), (200, 120, 40)  # B G R
WHITE, GRAY = (255, 255, 255), (190, 190, 190)
CAPTION, LINE = 4, 15  # height of an empty caption and of a line in pixels
GAP = 6
FRAME = 4
MARK = 10  # height and width of the tick or cross in pixels


@dataclass
class RankedImage:
    """One image of a ranked list.

    Attributes:
        img_path (str): The image file.
        lines (tuple[str, ...]): Lines of the caption.
        match (bool | None): Whether it shows the query's identity; None for the query, and where that is unknown.
        labeled (bool): Whether that is known, or it is the query.
    """

    img_path: str
    lines: tuple[str, ...]
    match: bool | None = None
    labeled: bool = True

    @property
    def color(self) -> tuple[int, int, int]:
        """tuple[int, int, int]: Color of the frame, B G R."""
        if not self.labeled:
            return GRAY
        return BLUE if self.match is None else GREEN if self.match else RED


def draw_rank_list(
    images: Sequence[RankedImage],
    size: tuple[int, int] = (192, 96),
    gray_missing: bool = False,
    max_pixels: int | None = MAX_PIXELS,
) -> np.ndarray:
    """Draws images side by side.

    Matches have green frames and ticks, other gallery images red frames and crosses, those of unknown identity gray
    frames, and the query has a blue frame.

    Args:
        images (Sequence[RankedImage]): The query and then the gallery images, best first.
        size (tuple[int, int]): Height and width of each image in pixels. Defaults to (192, 96).
        gray_missing (bool): Draw a gray field for a missing or unreadable file instead of raising. Defaults to False.
        max_pixels (int, optional): Most pixels of an image; None for no limit. Defaults to 64 million.

    Returns:
        np.ndarray: Shape (H, W, 3), BGR, uint8.

    Raises:
        CorruptImageError: If a file cannot be read.
    """
    caption = CAPTION + LINE * max(len(image.lines) for image in images)
    tiles = [_tile(image, size, caption, gray_missing, max_pixels) for image in images]
    gap = np.full((tiles[0].shape[0], GAP, 3), WHITE, np.uint8)
    row = [part for tile in tiles for part in (gap, tile)] + [gap]
    return np.concatenate(row, axis=1)


def stack_rows(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Puts images (H, W, 3), BGR, uint8, below each other, the narrower ones with white on their right."""
    width = max(row.shape[1] for row in rows)
    return np.concatenate(
        [cv2.copyMakeBorder(row, 0, 0, 0, width - row.shape[1], cv2.BORDER_CONSTANT, value=WHITE) for row in rows]
    )


def write_image(path: str | os.PathLike, image: np.ndarray) -> None:
    """Writes an image (H, W, 3), BGR, uint8, as .png or .jpg, also to paths that OpenCV cannot write to."""
    atomic_write(path, cv2.imencode(Path(path).suffix, image)[1].tobytes())


def _tile(
    image: RankedImage, size: tuple[int, int], caption: int, gray_missing: bool, max_pixels: int | None
) -> np.ndarray:
    height, width = size
    color = image.color
    tile = np.full((height + 2 * FRAME + caption, width + 2 * FRAME, 3), WHITE, np.uint8)
    tile[: height + 2 * FRAME] = color
    pixels = np.full((height, width, 3), GRAY, np.uint8)
    if gray_missing and not os.path.isfile(image.img_path):
        write_caption(pixels, 'no file', (FRAME, height // 2))
    else:
        try:
            read = read_image(image.img_path, max_pixels)
            pixels = cv2.resize(read, (width, height), interpolation=cv2.INTER_AREA)
        except CorruptImageError:
            if not gray_missing:
                raise
            write_caption(pixels, 'unreadable', (FRAME, height // 2))
    tile[FRAME : FRAME + height, FRAME : FRAME + width] = pixels
    for number, text in enumerate(image.lines):
        write_caption(tile, text, (FRAME, height + 2 * FRAME + 13 + LINE * number))
    if image.match is not None:
        _mark(tile, image.match, color)
    return tile


def _mark(tile: np.ndarray, match: bool, color: tuple[int, int, int]) -> None:
    """Draws a tick or a cross into the lower right corner, readable without colors."""
    bottom, right = tile.shape[0] - FRAME, tile.shape[1] - FRAME
    top, left = bottom - MARK, right - MARK
    if match:
        places = [(left, bottom - MARK // 2), (left + MARK // 3, bottom), (right, top)]
        cv2.polylines(tile, [np.array(places)], False, color, 2, cv2.LINE_AA)
    else:
        cv2.line(tile, (left, top), (right, bottom), color, 2, cv2.LINE_AA)
        cv2.line(tile, (left, bottom), (right, top), color, 2, cv2.LINE_AA)
