# Copyright (c) mmreid contributors. All rights reserved.
"""Draws many images with their names, row by row."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmreid.datasets.transforms.loading import MAX_PIXELS

from .rank_list import RankedImage, draw_rank_list, stack_rows

COLUMNS = 8
SIZE = (128, 64)


def draw_contact_sheet(paths: Sequence[str], max_pixels: int | None = MAX_PIXELS) -> np.ndarray:
    """Draws images in rows of eight; returns (H, W, 3), BGR, uint8. Raises CorruptImageError for an unreadable one."""
    tiles = [RankedImage(path, (Path(path).name,), labeled=False) for path in paths]
    rows = [tiles[start : start + COLUMNS] for start in range(0, len(tiles), COLUMNS)]
    return stack_rows([draw_rank_list(row, SIZE, max_pixels=max_pixels) for row in rows])
