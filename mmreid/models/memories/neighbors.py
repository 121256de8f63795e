# Copyright (c) mmreid contributors. All rights reserved.
"""What a head asks of the module that chooses neighbors."""

import torch
from mmengine.model import BaseModule

from .base_memory import BaseMemory
from .memory_similarity import MemorySimilarity


class Neighbors(BaseModule):
    """Base: chooses the slots that a target image is drawn to besides its own.

    Attributes:
        memory (ExemplarMemory, optional): Features of the source images, for neighbors that are learned from them.
    """

    def __init__(self, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg=init_cfg)
        self.memory: BaseMemory | None = None

    def choose(
        self, similarity: MemorySimilarity, own: torch.Tensor, feats: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Chooses the neighbors of target images.

        Args:
            similarity (MemorySimilarity): The batch against all slots.
            own (torch.Tensor): Own slot of each row, shape (N,), int64.
            feats (torch.Tensor): L2-normalized features without dropout, shape (N, D).

        Returns:
            tuple[torch.Tensor, torch.Tensor]: Slots and weights, both (N, k).
        """
        raise NotImplementedError

    def source_loss(self, feats: torch.Tensor, slots: torch.Tensor) -> dict[str, torch.Tensor]:
        """Returns losses on source features (N, D) and their slots (N,); called only if there is a source memory."""
        raise NotImplementedError
