# Copyright (c) mmreid contributors. All rights reserved.
"""Random erasing as the official codes of CM-NAS, CAJ and ECN draw it."""

import math
import random
from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness

from mmreid.registry import TRANSFORMS

ATTEMPTS = 100


@TRANSFORMS.register_module()
class RedrawnErasing(BaseTransform):
    """Covers a rectangle that is drawn again until it fits (Zhong et al., Random Erasing, AAAI 2020).

    MMPretrain's ``RandomErasing`` draws the logarithm of the aspect ratio and cuts off what does not fit. Here area and
    aspect ratio are uniform, drawn with Python's ``random`` in the order of the official codes.

    **Required Keys:**

    - img

    **Modified Keys:**

    - img

    Args:
        erase_prob (float): Probability. Defaults to 0.5.
        area_range (tuple[float, float]): Fraction of the image's area. Defaults to (0.02, 0.4).
        aspect_range (tuple[float, float]): Height / width. Defaults to (0.3, 1 / 0.3).
        may_span (bool): Whether a rectangle as high or as wide as the image fits, as in ECN. Defaults to False.
        fill_color (Sequence[float]): Color, in the order of the image, rounded to whole gray levels unless the image
            is of floats. Defaults to (126.8, 142.3, 152.0): B, G, R that become 0.406, 0.456, 0.485 when normalized
            with ImageNet's mean and standard deviation, as in the official codes, which fill after that. The channel
            random erasing of CAJ fills with 0.4465, 0.4822, 0.4914: (129.1, 143.8, 152.4).

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        erase_prob: float = 0.5,
        area_range: tuple[float, float] = (0.02, 0.4),
        aspect_range: tuple[float, float] = (0.3, 1 / 0.3),
        may_span: bool = False,
        fill_color: Sequence[float] = (126.8, 142.3, 152.0),
    ) -> None:
        if not 0 <= erase_prob <= 1:
            raise ValueError(f'erase_prob={erase_prob} of RedrawnErasing must lie between 0 and 1')
        if not 0 < area_range[0] <= area_range[1] <= 1 or not 0 < aspect_range[0] <= aspect_range[1]:
            raise ValueError(
                f'area_range={area_range} and aspect_range={aspect_range} of RedrawnErasing must be (low, high), both '
                'above 0, the area at most 1'
            )
        if not all(0 <= level <= 255 for level in fill_color):
            raise ValueError(f'fill_color={fill_color} of RedrawnErasing must be gray levels, from 0 to 255')
        self.erase_prob = erase_prob
        self.area_range, self.aspect_range, self.may_span = area_range, aspect_range, may_span
        self.fill_color = fill_color

    @cache_randomness
    def _rectangle(self, height: int, width: int) -> tuple[int, int, int, int] | None:
        """Draws top, left, height and width; None leaves the image as it is."""
        if random.uniform(0, 1) >= self.erase_prob:
            return None
        most = (height, width) if self.may_span else (height - 1, width - 1)
        for _ in range(ATTEMPTS):
            area = random.uniform(*self.area_range) * height * width
            aspect = random.uniform(*self.aspect_range)
            h, w = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if h <= most[0] and w <= most[1]:
                return random.randint(0, height - h), random.randint(0, width - w), h, w
        return None

    def transform(self, results: dict) -> dict:
        """Covers the rectangle."""
        rectangle = self._rectangle(*results['img'].shape[:2])
        if rectangle is not None:
            top, left, height, width = rectangle
            img = results['img'] = results['img'].copy()
            fill = np.round(self.fill_color) if img.dtype == np.uint8 else self.fill_color
            img[top : top + height, left : left + width] = fill
        return results

    def __repr__(self) -> str:
        return (
            f'RedrawnErasing(erase_prob={self.erase_prob}, area_range={self.area_range}, '
            f'aspect_range={self.aspect_range}, may_span={self.may_span}, fill_color={self.fill_color})'
        )
