# Copyright (c) mmreid contributors. All rights reserved.
"""Channel augmentation, which makes visible and infrared images look alike (Ye et al., CAJ, ICCV 2021)."""

import random
from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness

from mmreid.registry import TRANSFORMS

MEAN, STD = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)  # of the data preprocessor, as B, G, R
GRAY = np.array((0.1140, 0.5870, 0.2989), np.float32)  # of B, G, R; the weights of the official code
GRAY_CHOICE = 3
UNCHANGED = -1


class ChannelTransform(BaseTransform):
    """Base of the transforms that give all channels the values of one, or their weighted mean.

    With ``mean`` and ``std``, the values are those after normalization, as in the official code, which augments
    normalized images. They may lie outside of 0 to 255 before it, so such images become float32.

    **Required Keys:**

    - img (np.ndarray): Shape (H, W, 3), BGR.

    **Modified Keys:**

    - img

    Args:
        mean (Sequence[float], optional): Mean of B, G, R that the data preprocessor subtracts; None works on the gray
            levels as loaded, and keeps the type of the image. Defaults to ImageNet's.
        std (Sequence[float]): Standard deviation of B, G, R that it divides by. Defaults to ImageNet's.

    Raises:
        ValueError: If there are not three numbers of each, or a deviation is not positive.
    """

    def __init__(self, mean: Sequence[float] | None = MEAN, std: Sequence[float] = STD) -> None:
        if (mean is not None and len(mean) != 3) or len(std) != 3 or not min(std) > 0:
            raise ValueError(
                f'mean={mean} and std={std} of {type(self).__name__} must have a number for each of B, G, R, std above '
                '0; give those of the data preprocessor, or mean=None'
            )
        self.mean, self.std = mean, std

    def _choice(self) -> int:
        """Draws what all channels get: 0 to 2 for R, G, B, ``GRAY_CHOICE``, or ``UNCHANGED``."""
        raise NotImplementedError  # abstractmethod fails where MMCV's cache_randomness overrides it

    def transform(self, results: dict) -> dict:
        """Draws what all channels get, and gives it to them."""
        choice = self._choice()
        if choice != UNCHANGED:
            results['img'] = self._spread(results['img'], choice)
        return results

    def _spread(self, img: np.ndarray, choice: int) -> np.ndarray:
        values = img.astype(np.float32)
        if self.mean is not None:
            mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
            values = (values - mean) / std
        one = values @ GRAY if choice == GRAY_CHOICE else values[..., 2 - choice]
        if self.mean is not None:
            return one[..., None] * std + mean
        spread = np.repeat(one[..., None], 3, axis=-1)
        return (spread.round() if img.dtype == np.uint8 else spread).astype(img.dtype)


@TRANSFORMS.register_module()
class ChannelExchange(ChannelTransform):
    """Gives all channels of a visible image the values of one, drawn uniformly.

    The result has no color, as infrared images have none, and each channel shows the person in another way.

    Args:
        prob (float): Probability. Defaults to 1, as in the official code, which adds the result as a second view.
        gray (bool): Whether to draw among the three channels and their weighted mean. Defaults to False.
        **kwargs: See :class:`ChannelTransform`.

    Raises:
        ValueError: If the probability is not one.
    """

    def __init__(self, prob: float = 1.0, gray: bool = False, **kwargs) -> None:
        super().__init__(**kwargs)
        if not 0 <= prob <= 1:
            raise ValueError(f'prob={prob} of ChannelExchange must lie between 0 and 1')
        self.prob, self.gray = prob, gray

    @cache_randomness
    def _choice(self) -> int:
        if self.prob < 1 and random.uniform(0, 1) >= self.prob:
            return UNCHANGED
        return random.randint(0, GRAY_CHOICE if self.gray else GRAY_CHOICE - 1)

    def __repr__(self) -> str:
        return f'ChannelExchange(prob={self.prob}, gray={self.gray}, mean={self.mean}, std={self.std})'


@TRANSFORMS.register_module()
class AdaptiveGray(ChannelTransform):
    """Gives all channels of an infrared image the values of one, in three of four cases drawn uniformly.

    In the fourth, they get their weighted mean with a probability, and the image stays as it is otherwise. The channels
    of an infrared image differ after normalization and where it was erased, so the results do too.

    Args:
        gray_prob (float): Probability of the weighted mean in the fourth case. Defaults to 0.5.
        **kwargs: See :class:`ChannelTransform`.

    Raises:
        ValueError: If the probability is not one.
    """

    def __init__(self, gray_prob: float = 0.5, **kwargs) -> None:
        super().__init__(**kwargs)
        if not 0 <= gray_prob <= 1:
            raise ValueError(f'gray_prob={gray_prob} of AdaptiveGray must lie between 0 and 1')
        self.gray_prob = gray_prob

    @cache_randomness
    def _choice(self) -> int:
        choice = random.randint(0, GRAY_CHOICE)
        if choice < GRAY_CHOICE:
            return choice
        return GRAY_CHOICE if self.gray_prob and random.uniform(0, 1) <= self.gray_prob else UNCHANGED

    def __repr__(self) -> str:
        return f'AdaptiveGray(gray_prob={self.gray_prob}, mean={self.mean}, std={self.std})'
