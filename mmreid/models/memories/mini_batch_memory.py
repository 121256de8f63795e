# Copyright (c) mmreid contributors. All rights reserved.
"""What stands in for the exemplar memory to show what the memory is good for: the batch itself."""

import torch
from mmengine.model import BaseModule

from mmreid.registry import MODELS

from .memory_similarity import MemorySimilarity


@MODELS.register_module()
class MiniBatchMemory(BaseModule):
    """Forgets everything but the running batch: its images are the only slots.

    The mini-batch side of the comparison in ECN (Zhong et al., CVPR 2019). The paper does not say how it is computed;
    this is our reading: the slot of an image is its feature, without dropout, from where it comes last in the batch. So
    with ``RepeatedImageBatchSampler`` its first view is drawn to its second. Slots are those of this rank.

    Args:
        feat_dim (int): Size of a feature.
    """

    def __init__(self, feat_dim: int) -> None:
        super().__init__()
        self.feat_dim = feat_dim

    def of_batch(self, feats: torch.Tensor, slots: torch.Tensor) -> tuple['BatchSlots', torch.Tensor]:
        """Makes slots of a batch.

        Args:
            feats (torch.Tensor): Its L2-normalized features, shape (N, D).
            slots (torch.Tensor): Which target image each row shows, shape (N,), int64.

        Returns:
            tuple[BatchSlots, torch.Tensor]: The slots and which of them is that of each row, shape (N,).
        """
        _, own = slots.unique(return_inverse=True)
        last = torch.zeros(int(own.max()) + 1, dtype=torch.int64, device=own.device)
        last.scatter_reduce_(0, own, torch.arange(len(own), device=own.device), 'amax', include_self=False)
        return BatchSlots(feats.detach().float()[last]), own


class BatchSlots:
    """The images of one batch as slots, with what :class:`MemorySimilarity` asks a memory for.

    Args:
        features (torch.Tensor): Shape (S, D).
    """

    sharded, rank, first, version = False, 0, 0, 0

    def __init__(self, features: torch.Tensor) -> None:
        self.features = features
        self.num_slots = len(features)

    def compare(self, feats: torch.Tensor, temperature: float = 1.0) -> MemorySimilarity:
        """Compares features with the slots; see :meth:`ExemplarMemory.compare`."""
        return MemorySimilarity(self, feats.float(), temperature)

    def product(self, rows: torch.Tensor) -> torch.Tensor:
        """Multiplies rows (R, D) with the slots; shape (R, S)."""
        return rows @ self.features.t()

    def product_back(self, grad: torch.Tensor) -> torch.Tensor:
        """Multiplies what belongs to the slots, (R, S), with them; shape (R, D)."""
        return grad @ self.features
