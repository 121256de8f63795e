# Copyright (c) mmreid contributors. All rights reserved.
"""The neighbors of ECN: the nearest slots."""

import torch

from mmreid.registry import MODELS

from .exemplar_memory import ExemplarMemory
from .memory_similarity import MemorySimilarity
from .neighbors import Neighbors


@MODELS.register_module()
class NearestNeighbors(Neighbors):
    """Chooses the slots most similar to an image (Zhong et al., ECN, CVPR 2019, section 3.4).

    Args:
        k (int): Nearest slots, the image's own slot included. Defaults to 6.
        feat_dim (int, optional): Not used; the head passes it to all kinds of neighbors. Defaults to None.

    Raises:
        ValueError: If ``k`` is less than 1.
    """

    def __init__(self, k: int = 6, feat_dim: int | None = None) -> None:
        super().__init__()
        if k < 1:
            raise ValueError(f'k={k} of NearestNeighbors must be at least 1')
        self.k = k

    def choose(
        self, similarity: MemorySimilarity, own: torch.Tensor, feats: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the k nearest slots with weight 1/k each, or 0 for the own slot; both (N, k)."""
        k = min(self.k, similarity.memory.num_slots)
        near = similarity.nearest(k)
        return near, (near != own[:, None]) / k


@torch.no_grad()
def nearest_others(memory: ExemplarMemory, feats: torch.Tensor, own: torch.Tensor, k: int) -> torch.Tensor:
    """Finds the k slots (N, k), int64, most similar to features (N, D), without their own slots (N,); k < num_slots."""
    near = memory.compare(feats).nearest(k + 1)
    # Moves the own slot to the end, where it is cut off; without it, the least similar slot is cut off.
    order = (near == own[:, None]).byte().argsort(dim=1, stable=True)
    return near.gather(1, order)[:, :k]
