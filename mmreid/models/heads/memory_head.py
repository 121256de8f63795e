# Copyright (c) mmreid contributors. All rights reserved.
"""What the memory hooks may ask of a head that compares images with memories."""

from abc import abstractmethod

from mmreid.models.memories import BaseMemory, ExemplarMemory, LearnedNeighbors, Neighbors

from .base_head import BaseHead


class MemoryHead(BaseHead):
    """Base of heads whose loss reads memories that hooks write.

    Attributes:
        memory (BaseMemory, optional): What target images are compared with; None for a head that learns from the
            source alone.
    """

    def __init__(self, num_classes: int | None = None, init_cfg: dict | list[dict] | None = None) -> None:
        super().__init__(num_classes, init_cfg)
        self.memory: BaseMemory | None = None

    @property
    @abstractmethod
    def neighbors(self) -> Neighbors | None:
        """Neighbors, optional: What chooses neighbors of target images."""

    @property
    def learned_neighbors(self) -> LearnedNeighbors | None:
        """LearnedNeighbors, optional: The same, if they are learned from source images."""
        return self.neighbors if isinstance(self.neighbors, LearnedNeighbors) else None

    @property
    def neighbors_wait(self) -> bool:
        """bool: Whether neighbors still wait for a :class:`NeighborStartHook` to start them."""
        return False

    @property
    def source_slot_field(self) -> str | None:
        """str, optional: Source images come first in a ``SourceTargetDataset``, so an image's index is its slot."""
        return 'sample_idx' if self.learned_neighbors is not None else None

    def memories(self) -> dict[str, ExemplarMemory]:
        """Returns the memories that are written after each step: the target's and, if learned, the source's."""
        learned = self.learned_neighbors
        found = dict(target=self.memory, source=learned.memory if learned is not None else None)
        return {domain: memory for domain, memory in found.items() if isinstance(memory, ExemplarMemory)}

    @abstractmethod
    def start_run(self, max_epochs: int) -> int | None:
        """Counts what is given as a fraction of the run.

        Args:
            max_epochs (int): Epochs of the run.

        Returns:
            int, optional: First epoch with neighbors, from 0; None without neighbors.
        """

    @abstractmethod
    def start_epoch(self, epoch: int) -> None:
        """Tells the loss the epoch, from 0."""
