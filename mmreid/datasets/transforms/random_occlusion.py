# Copyright (c) mmreid contributors. All rights reserved.
"""Covers a square of an image."""

import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness

from mmreid.registry import TRANSFORMS


@TRANSFORMS.register_module()
class RandomOcclusion(BaseTransform):
    """Covers one square with a color; unlike in random erasing, its side is uniform and not its area (QAConv).

    **Required Keys:**

    - img

    **Modified Keys:**

    - img

    Args:
        prob (float): Probability. Defaults to 1.
        max_ratio (float): The side is drawn from 1 pixel up to this fraction of the shorter side. Defaults to 0.8.
        fill_color (Sequence[int]): Color, in the order of the image. Defaults to white.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self, prob: float = 1.0, max_ratio: float = 0.8, fill_color: tuple[int, int, int] = (255, 255, 255)
    ) -> None:
        if not 0 <= prob <= 1 or not 0 < max_ratio <= 1:
            raise ValueError(
                f'prob={prob} of RandomOcclusion must lie between 0 and 1, and max_ratio={max_ratio} above 0 and at '
                'most 1'
            )
        self.prob = prob
        self.max_ratio = max_ratio
        self.fill_color = fill_color

    @cache_randomness
    def _square(self, height: int, width: int) -> tuple[int, int, int] | None:
        """Draws top, left and side; None leaves the image as it is."""
        if np.random.rand() >= self.prob:
            return None
        side = int(np.random.uniform(1, max(1, self.max_ratio * min(height, width))))
        return np.random.randint(height - side + 1), np.random.randint(width - side + 1), side

    def transform(self, results: dict) -> dict:
        """Covers the square."""
        square = self._square(*results['img'].shape[:2])
        if square is not None:
            top, left, side = square
            results['img'] = results['img'].copy()
            results['img'][top : top + side, left : left + side] = self.fill_color
        return results

    def __repr__(self) -> str:
        return f'RandomOcclusion(prob={self.prob}, max_ratio={self.max_ratio}, fill_color={self.fill_color})'
