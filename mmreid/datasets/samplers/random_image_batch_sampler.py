# Copyright (c) mmreid contributors. All rights reserved.
"""Batches of random images, whoever they show."""

from collections.abc import Iterator
from itertools import islice

import numpy as np
from torch.utils.data import Sampler

from mmreid.registry import DATA_SAMPLERS

from .passes import random_passes
from .reid_batch_sampler import ReIDBatchSampler
from .seeded_sampler import check_seeded


@DATA_SAMPLERS.register_module()
class RandomImageBatchSampler(ReIDBatchSampler):
    """Draws images at random without replacement; all are shown before one comes again, none twice in a batch.

    An epoch is as many whole global batches as the data set has.

    Args:
        sampler (Sampler): Carries data set, seed and epoch, e.g. ``dict(type='DefaultSampler', shuffle=True)``.
        batch_size (int): Images per batch and rank.
        rank (int, optional): This process rank. Defaults to the running one.
        world_size (int, optional): Number of ranks. Defaults to the size of the running group.

    Raises:
        ValueError: If there are fewer images than a global batch takes.
    """

    def __init__(
        self, sampler: Sampler, batch_size: int, rank: int | None = None, world_size: int | None = None
    ) -> None:
        check_seeded(sampler, type(self).__name__)
        super().__init__(sampler, batch_size, rank, world_size)
        self.images_per_batch = batch_size  # different ones
        self.num_images = len(sampler.dataset)
        if not 1 <= batch_size * self.world_size <= self.num_images:
            raise ValueError(
                f'batch_size={batch_size} x {self.world_size} rank(s) = {batch_size * self.world_size} different '
                f'images in a batch, but there are {self.num_images}; choose a batch_size from 1 to '
                f'{self.num_images // self.world_size}'
            )

    def __len__(self) -> int:
        return self.num_images // (self.images_per_batch * self.world_size)

    def batches(self, num_batches: int) -> Iterator[np.ndarray]:
        """Yields this rank's batches of the sampler's epoch."""
        rng = np.random.default_rng([self.sampler.seed, self.sampler.epoch])
        mine = slice(self.rank * self.images_per_batch, (self.rank + 1) * self.images_per_batch)
        walk = random_passes(np.arange(self.num_images), self.images_per_batch * self.world_size, rng)
        for images in islice(walk, num_batches):
            yield images[mine]
