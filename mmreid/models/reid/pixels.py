# Copyright (c) mmreid contributors. All rights reserved.
"""Comparing pixels: the lower bound that every learned model must beat."""

import torch
import torch.nn.functional as F

from mmreid.registry import MODELS
from mmreid.structures import ReIDDataSample

from .base import BaseReID


@MODELS.register_module()
class PixelReID(BaseReID):
    """Uses the shrunk, normalized image itself as the embedding; has no weights and cannot be trained.

    Args:
        size (tuple[int, int]): Height and width of the shrunk images. Defaults to (64, 32).
        **kwargs: See :class:`BaseReID`.
    """

    def __init__(self, size: tuple[int, int] = (64, 32), **kwargs) -> None:
        super().__init__(**kwargs)
        self.size = tuple(size)

    def extract_feat(self, inputs: torch.Tensor, data_samples: list[ReIDDataSample] | None = None) -> torch.Tensor:
        """Shrinks and flattens images; shape (N, 3, H, W) to (N, 3 * h * w)."""
        return F.interpolate(inputs, self.size, mode='area').flatten(1)

    def loss(self, inputs: torch.Tensor, data_samples: list[ReIDDataSample]) -> dict[str, torch.Tensor]:
        """Raises: there is nothing to learn."""
        raise RuntimeError('PixelReID has no weights to train; test it with tools/test.py CONFIG none')
