# Copyright (c) mmreid contributors. All rights reserved.
"""What a head asks of the memory that it compares target images with."""

from abc import abstractmethod

import torch
from mmengine.model import BaseModule

from .memory_similarity import Slots


class BaseMemory(BaseModule):
    """Base of memories.

    Args:
        feat_dim (int): Size of a feature.
    """

    def __init__(self, feat_dim: int) -> None:
        super().__init__()
        self.feat_dim = feat_dim

    @abstractmethod
    def of_batch(self, feats: torch.Tensor, slots: torch.Tensor) -> tuple[Slots, torch.Tensor]:
        """Returns the slots that L2-normalized features (N, D) are compared with, and the own slot of each row (N,).

        ``slots`` may be on the host; what is returned is on the device of the features.
        """

    def check(self, slots: torch.Tensor) -> None:
        """Raises a ValueError if there are no such slots (N,), which must be on the host; by default accepts all."""

    def remember(self, feats: torch.Tensor, slots: torch.Tensor) -> None:
        """Keeps the features of a step, (N, D), until ``MemoryUpdateHook`` writes them; by default does nothing."""
