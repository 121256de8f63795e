# Copyright (c) mmreid contributors. All rights reserved.
"""The random crop of the official code of ECN."""

import math
import random

import numpy as np
from mmcv.transforms.utils import cache_randomness
from mmpretrain.datasets.transforms import RandomResizedCrop

from mmreid.registry import TRANSFORMS


@TRANSFORMS.register_module()
class UprightCrop(RandomResizedCrop):
    """Cuts out an upright rectangle, and resizes it.

    MMPretrain's ``RandomResizedCrop`` draws the logarithm of width / height, and cuts out the middle if nothing fits.
    Here height / width is uniform, drawn with Python's ``random`` in the order of the official code, and the whole
    image is resized if nothing fits in 10 attempts.

    Args:
        scale (tuple[int, int]): Height and width of the result.
        crop_ratio_range (tuple[float, float]): Fraction of the image's area. Defaults to (0.64, 1.0).
        aspect_ratio_range (tuple[float, float]): Height / width. Defaults to (2.0, 3.0).
        backend (str): ``'pillow'``, as in the official code, or ``'cv2'``. Defaults to ``'pillow'``.
        **kwargs: ``max_attempts`` and ``interpolation``, see ``RandomResizedCrop``.
    """

    def __init__(
        self,
        scale: tuple[int, int],
        crop_ratio_range: tuple[float, float] = (0.64, 1.0),
        aspect_ratio_range: tuple[float, float] = (2.0, 3.0),
        backend: str = 'pillow',
        **kwargs,
    ) -> None:
        super().__init__(scale, crop_ratio_range, aspect_ratio_range, backend=backend, **kwargs)

    @cache_randomness
    def rand_crop_params(self, img: np.ndarray) -> tuple[int, int, int, int]:
        """Draws top, left, height and width of the rectangle."""
        height, width = img.shape[:2]
        for _ in range(self.max_attempts):
            area = random.uniform(*self.crop_ratio_range) * height * width
            aspect = random.uniform(*self.aspect_ratio_range)
            h, w = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if w <= width and h <= height:
                left = random.randint(0, width - w)
                return random.randint(0, height - h), left, h, w
        return 0, 0, height, width
