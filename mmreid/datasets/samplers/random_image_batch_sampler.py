# Copyright (c) mmreid contributors. All rights reserved.
"""Batches of images at random, whoever they show."""

from collections.abc import Iterator
from itertools import islice

import numpy as np
from mmengine.dist import get_dist_info
from torch.utils.data import Sampler

from mmreid.registry import DATA_SAMPLERS

from .passes import random_passes
from .seeded_sampler import check_seeded


@DATA_SAMPLERS.register_module()
class RandomImageBatchSampler(Sampler):
    """Draws images at random without replacement; all are shown before one comes again, none twice in a batch.

    An epoch is as many whole global batches as the data set has. All ranks compute the same global batch and each takes
    its own slice.

    Args:
        sampler (Sampler): Carries data set, seed and epoch, e.g. ``dict(type='DefaultSampler', shuffle=True)``.
        batch_size (int): Images per batch and rank.
        rank (int, optional): This rank. Defaults to the running process's.
        world_size (int, optional): Number of ranks. Defaults to the running group's.

    Raises:
        ValueError: If there are fewer images than a global batch takes.
    """

    def __init__(self, sampler, batch_size: int, rank: int | None = None, world_size: int | None = None) -> None:
        check_seeded(sampler, type(self).__name__)
        self.sampler = sampler
        self.batch_size = batch_size
        running_rank, running_size = get_dist_info()
        self.rank = running_rank if rank is None else rank
        self.world_size = running_size if world_size is None else world_size
        self.num_images = len(sampler.dataset)
        if not 1 <= batch_size * self.world_size <= self.num_images:
            raise ValueError(
                f'batch_size={batch_size} x {self.world_size} rank(s) = {batch_size * self.world_size} different '
                f'images in a batch, but there are {self.num_images}; choose a batch_size from 1 to '
                f'{self.num_images // self.world_size}'
            )

    def __len__(self) -> int:
        return self.num_images // (self.batch_size * self.world_size)

    def __iter__(self) -> Iterator[list[int]]:
        for batch in self.batches(len(self)):
            yield batch.tolist()

    def batches(self, num_batches: int) -> Iterator[np.ndarray]:
        """Yields this rank's batches of the sampler's epoch.

        Args:
            num_batches (int): How many; may be more than an epoch has.

        Yields:
            np.ndarray: Indices into the data set, shape (batch_size,).
        """
        rng = np.random.default_rng([self.sampler.seed, self.sampler.epoch])
        mine = slice(self.rank * self.batch_size, (self.rank + 1) * self.batch_size)
        walk = random_passes(np.arange(self.num_images), self.batch_size * self.world_size, rng)
        for images in islice(walk, num_batches):
            yield images[mine]
