# Copyright (c) mmreid contributors. All rights reserved.
"""Neighbours that cheat, to tell wrong neighbours from a use of neighbours that is wrong."""

import torch

from mmreid.models.memories import NearestSlots, SlotSimilarity
from mmreid.registry import MODELS


@MODELS.register_module()
class TrueSlots(NearestSlots):
    """Leaves out those of the nearest slots that show somebody else. Not a method: it reads the target's identities.

    Args:
        k (int): Nearest slots, the own one included. Defaults to 6.
        feat_dim (int, optional): Of no concern here. Defaults to None.

    Attributes:
        pids (torch.Tensor, optional): Identity of each slot, shape (S,); must be set before the training.
    """

    def __init__(self, k: int = 6, feat_dim: int | None = None) -> None:
        super().__init__(k, feat_dim)
        self.pids: torch.Tensor | None = None

    def choose(
        self, similarity: SlotSimilarity, own: torch.Tensor, feats: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Chooses the neighbours of target images; see :class:`NearestSlots`."""
        near, weights = super().choose(similarity, own, feats)
        return near, weights * (self.pids[near] == self.pids[own][:, None])
