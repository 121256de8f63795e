# Copyright (c) mmreid contributors. All rights reserved.
"""WHO is in a batch: random identities."""

from collections.abc import Iterator
from itertools import islice

import numpy as np

from mmreid.datasets.contract import ReIDData
from mmreid.registry import DATA_SAMPLERS

from .identity_sampler import IdentitySampler
from .passes import random_passes


@DATA_SAMPLERS.register_module()
class RandomIdentitySampler(IdentitySampler):
    """Chooses P random identities for each batch (the P of P x K).

    Goes through the identities in random order, a new one for every pass, so all are equally frequent and none is twice
    in a global batch.

    Args:
        dataset (ReIDData): The training set; ``gt_labels`` is used.
        seed (int, optional): Seed; the runner gives its own. Defaults to None: one is drawn and shared by all ranks.
        batches_per_epoch (int, optional): Length of an epoch. Defaults to None: as the instance sampler counts it.

    Attributes:
        classes (np.ndarray): Training labels of the identities it chooses from, sorted.
    """

    def __init__(self, dataset: ReIDData, seed: int | None = None, batches_per_epoch: int | None = None) -> None:
        if batches_per_epoch is not None and batches_per_epoch < 1:
            raise ValueError(f'batches_per_epoch={batches_per_epoch} of {type(self).__name__} must be at least 1')
        super().__init__(dataset, seed)
        self.batches_per_epoch = batches_per_epoch

    def check_batch(self, classes_per_batch: int, world_size: int, images_per_class: int) -> None:
        """Makes sure that there are enough identities for a global batch."""
        needed = classes_per_batch * world_size
        if self.num_classes < needed:
            ranks = f' x {world_size} ranks' if world_size > 1 else ''
            fits = self.num_classes // world_size * images_per_class
            remedy = f'lower train_dataloader.batch_size to at most {fits}, or ' if fits else ''
            raise ValueError(
                f'batch_size={classes_per_batch * images_per_class} / {images_per_class} images of each{ranks} = '
                f'{needed} different identities in a batch, but the training set has {self.num_classes}; '
                f'{remedy}raise num_instances{"" if fits else " or use fewer GPUs"}'
            )

    def num_batches(self, once: int) -> int:
        """Returns as many batches as show about all images of the identities, or what was asked for."""
        return self.batches_per_epoch or once

    def batches(self, classes_per_batch: int, num_batches: int) -> Iterator[np.ndarray]:
        """Yields distinct identities."""
        yield from islice(random_passes(self.classes, classes_per_batch, self.rng(0)), num_batches)
