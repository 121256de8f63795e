# Copyright (c) mmreid contributors. All rights reserved.
"""The neighbors of ECN: the nearest slots."""

import torch
from torch import nn

from mmreid.registry import MODELS

from .exemplar_memory import ExemplarMemory
from .memory_similarity import MemorySimilarity


@MODELS.register_module()
class NearestNeighbors(nn.Module):
    """Takes the slots that are most like an image (Zhong et al., ECN, CVPR 2019, section 3.4).

    Args:
        k (int): How many, the own slot included. Defaults to 6.
        feat_dim (int, optional): Of no concern here. Defaults to None.

    Raises:
        ValueError: If ``k`` is less than 1.
    """

    #: Nothing is learned from the source, so none of it is kept.
    memory = None

    def __init__(self, k: int = 6, feat_dim: int | None = None) -> None:
        super().__init__()
        if k < 1:
            raise ValueError(f'k={k} of NearestNeighbors must be at least 1')
        self.k = k

    def choose(
        self, similarity: MemorySimilarity, own: torch.Tensor, feats: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Chooses the neighbors of target images.

        Args:
            similarity (MemorySimilarity): The batch against all slots.
            own (torch.Tensor): Own slot of each row, shape (N,), int64.
            feats (torch.Tensor): Features without dropout; of no concern here.

        Returns:
            tuple[torch.Tensor, torch.Tensor]: Slots and weights, both (N, k). Each weighs 1/k, the own slot nothing.
        """
        k = min(self.k, similarity.memory.num_slots)
        near = similarity.nearest(k)
        return near, (near != own[:, None]) / k


@torch.no_grad()
def nearest_others(memory: ExemplarMemory, feats: torch.Tensor, own: torch.Tensor, k: int) -> torch.Tensor:
    """Finds the slots that are most like features, without their own slot.

    Args:
        memory (ExemplarMemory): Where to look.
        feats (torch.Tensor): Shape (N, D).
        own (torch.Tensor): Own slot of each row, shape (N,), int64.
        k (int): How many, less than there are slots.

    Returns:
        torch.Tensor: Their numbers, shape (N, k), the most similar first; int64.
    """
    near = memory.compare(feats).nearest(k + 1)
    # The own slot goes last, or the last one goes where the own is not among them.
    order = (near == own[:, None]).byte().argsort(dim=1, stable=True)
    return near.gather(1, order)[:, :k]
