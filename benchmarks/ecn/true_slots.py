# Copyright (c) mmreid contributors. All rights reserved.
"""Neighbors that cheat, to tell wrong neighbors from a use of neighbors that is wrong."""

import torch

from mmreid.models.memories import MemorySimilarity, NearestNeighbors
from mmreid.registry import MODELS


@MODELS.register_module()
class TrueSlots(NearestNeighbors):
    """Leaves out those of the nearest slots that show somebody else. Not a method: it reads the target's identities.

    Args:
        k (int): Nearest slots, the own one included. Defaults to 6.
        feat_dim (int, optional): Not used. Defaults to None.

    Attributes:
        pids (torch.Tensor, optional): Identity of each slot, shape (S,); must be set before the training.
    """

    def __init__(self, k: int = 6, feat_dim: int | None = None) -> None:
        super().__init__(k, feat_dim)
        self.pids: torch.Tensor | None = None

    def choose(
        self, similarity: MemorySimilarity, own: torch.Tensor, feats: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Chooses the neighbors of target images; see :class:`NearestNeighbors`."""
        near, weights = super().choose(similarity, own, feats)
        return near, weights * (self.pids[near] == self.pids[own][:, None])
