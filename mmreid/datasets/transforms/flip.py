# Copyright (c) mmreid contributors. All rights reserved.
"""MMCV's random flip, without the slow view that it returns."""

import cv2
import numpy as np
from mmcv.transforms import RandomFlip as MMCVRandomFlip
from mmcv.transforms.utils import cache_randomness

from mmreid.registry import TRANSFORMS

CODES = dict(horizontal=1, vertical=0, diagonal=-1)  # of cv2.flip


@TRANSFORMS.register_module()
class RandomFlip(MMCVRandomFlip):
    """Flips at random: arguments, keys, random numbers and images are those of MMCV's ``RandomFlip``.

    MMCV returns a view with a negative stride, which the next transform copies byte by byte; that takes as long as
    decoding the file. ``cv2.flip`` makes a plain array at once. See ``benchmarks/datasets/input_speed.py``.

    Args:
        prob (float | list[float]): Probability of a flip, or of each direction.
        **kwargs: See :class:`mmcv.transforms.RandomFlip`.
    """

    @cache_randomness
    def _choose_direction(self) -> str | None:
        if isinstance(self.direction, str) and isinstance(self.prob, float):
            # np.random.choice would draw the same number and compare it in the same way, eight times as slowly.
            return self.direction if np.random.random_sample() < self.prob else None
        return super()._choose_direction()

    def _flip(self, results: dict) -> None:
        img = results['img']
        super()._flip(results)
        results['img'] = cv2.flip(img, CODES[results['flip_direction']])
