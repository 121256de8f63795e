# Copyright (c) mmreid contributors. All rights reserved.
"""What batch samplers have in common that can also make a part of a batch."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np
from mmengine.dist import get_dist_info
from torch.utils.data import Sampler


class ReIDBatchSampler(Sampler, ABC):
    """Makes batches of indices, any number of them; the base of what can be a part of ``MultiDomainBatchSampler``.

    All ranks compute the same global batch and each takes its own slice.

    Args:
        sampler (Sampler): The ``sampler`` of the dataloader config; it carries data set, seed and epoch.
        batch_size (int): Images per batch and rank.
        rank (int, optional): This process rank. Defaults to the running one.
        world_size (int, optional): Number of ranks. Defaults to the size of the running group.
    """

    def __init__(
        self, sampler: Sampler, batch_size: int, rank: int | None = None, world_size: int | None = None
    ) -> None:
        self.sampler = sampler
        self.batch_size = batch_size
        running_rank, running_size = get_dist_info()
        self.rank = running_rank if rank is None else rank
        self.world_size = running_size if world_size is None else world_size

    @abstractmethod
    def __len__(self) -> int:
        """Returns the number of batches of an epoch."""

    def __iter__(self) -> Iterator[list[int]]:
        for batch in self.batches(len(self)):
            yield batch.tolist()

    @abstractmethod
    def batches(self, num_batches: int) -> Iterator[np.ndarray]:
        """Yields this rank's batches of the sampler's epoch.

        Args:
            num_batches (int): How many; may be more than an epoch has.

        Yields:
            np.ndarray: Indices into the data set, shape (images of a batch,).
        """
