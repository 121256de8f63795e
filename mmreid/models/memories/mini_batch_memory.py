# Copyright (c) mmreid contributors. All rights reserved.
"""The batch in place of an exemplar memory, to show what the memory contributes."""

import torch

from mmreid.registry import MODELS

from .base_memory import BaseMemory
from .memory_similarity import MemorySimilarity


@MODELS.register_module()
class MiniBatchMemory(BaseMemory):
    """Keeps nothing: the images of the current batch, on this rank, are the only slots.

    The mini-batch side of the comparison in ECN (Zhong et al., CVPR 2019). The paper does not say how it is computed;
    this is our reading: the slot of an image is the feature, without dropout, of its last occurrence in the batch. So
    ``RepeatedImageBatchSampler`` has the first view of an image drawn to its second.

    Args:
        feat_dim (int): Size of a feature.
    """

    def of_batch(self, feats: torch.Tensor, slots: torch.Tensor) -> tuple['BatchSlots', torch.Tensor]:
        """Makes slots of features (N, D), and returns with them the slot of each row, (N,)."""
        _, own = slots.unique(return_inverse=True)
        last = torch.zeros(int(own.max()) + 1, dtype=torch.int64, device=own.device)
        last.scatter_reduce_(0, own, torch.arange(len(own), device=own.device), 'amax', include_self=False)
        last, own = (part.to(feats.device, non_blocking=True) for part in (last, own))
        return BatchSlots(feats.detach().float()[last]), own


class BatchSlots:
    """The images of one batch as slots.

    Args:
        features (torch.Tensor): Shape (S, D).
    """

    sharded, rank, first, version = False, 0, 0, 0

    def __init__(self, features: torch.Tensor) -> None:
        self.features = features
        self.num_slots = len(features)

    def compare(self, feats: torch.Tensor, temperature: float = 1.0) -> MemorySimilarity:
        """Compares features (N, D) with all slots; the similarities are divided by the temperature."""
        return MemorySimilarity(self, feats.float(), temperature)

    def product(self, rows: torch.Tensor) -> torch.Tensor:
        """Multiplies rows (R, D) with the slots; shape (R, S)."""
        return rows @ self.features.t()

    def product_back(self, grad: torch.Tensor) -> torch.Tensor:
        """Multiplies gradients (R, S) with the slots; shape (R, D)."""
        return grad @ self.features
