# Copyright (c) mmreid contributors. All rights reserved.
"""What a head asks of the module that chooses neighbors."""

from abc import abstractmethod

import torch
from mmengine.model import BaseModule

from .exemplar_memory import ExemplarMemory
from .memory_similarity import MemorySimilarity


class Neighbors(BaseModule):
    """Base: chooses the slots that a target image is drawn to besides its own."""

    @abstractmethod
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


class LearnedNeighbors(Neighbors):
    """Base of neighbors that are learned from source images, whose features they keep in a second memory.

    Attributes:
        memory (ExemplarMemory): A slot for each source image; ``MemoryUpdateHook`` writes it after each step.
        labels (torch.Tensor): Identity of each source slot, shape (S,), int64.
        held_out_every (int): Every so many-th source identity is held out from learning; 0 holds out none.
    """

    memory: ExemplarMemory
    labels: torch.Tensor
    held_out_every: int = 0

    @abstractmethod
    def allocate(self, labels: torch.Tensor, device: torch.device | str | None = None) -> None:
        """Makes a slot for each source image, whose identities ``labels`` (S,) are."""

    def check_size(self, num_slots: int, domain: str) -> None:
        """Raises a ValueError if the memory of a domain has too few slots to choose from."""

    @abstractmethod
    def source_loss(self, feats: torch.Tensor, slots: torch.Tensor) -> dict[str, torch.Tensor]:
        """Returns losses on source features (N, D) and their slots (N,)."""

    @abstractmethod
    def held_out_slots(self) -> torch.Tensor:
        """Returns the source slots of identities that are held out from learning, (H,)."""
