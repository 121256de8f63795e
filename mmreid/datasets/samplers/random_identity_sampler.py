# Copyright (c) mmreid contributors. All rights reserved.
"""WHO is in a batch: chooses the classes of every mini batch of an epoch."""

from collections.abc import Iterator
from itertools import islice

import numpy as np
from mmengine.dist import sync_random_seed
from torch.utils.data import Sampler

from mmreid.registry import DATA_SAMPLERS

from .passes import random_passes


@DATA_SAMPLERS.register_module()
class RandomIdentitySampler(Sampler):
    """Chooses P random classes for each batch (the P of P x K).

    Classes are walked in a random order that is drawn anew for every pass, so each is met equally often and none twice
    in one global batch. What is chosen depends on seed and epoch only.

    It stands in a config as ``sampler``, next to ``batch_sampler=dict(type='IdentityBatchSampler', ...)``, and is
    what MMEngine calls ``set_epoch`` on.

    Args:
        dataset (BaseReIDDataset): The training set, or any data set with an array ``gt_labels``.
        seed (int, optional): Seed; the runner gives its own. Defaults to None, one drawn and shared by all ranks.
        batches_per_epoch (int, optional): Length of an epoch. Defaults to None: as many batches as show about as many
            images as the data set has.

    Attributes:
        classes (np.ndarray): The classes it chooses from, sorted.
    """

    def __init__(self, dataset, seed: int | None = None, batches_per_epoch: int | None = None) -> None:
        if not hasattr(dataset, 'gt_labels'):
            raise TypeError(
                f'{type(self).__name__} needs the labels of a BaseReIDDataset (its array gt_labels), which '
                f'{type(dataset).__name__} has not; use the data set itself'
            )
        self.dataset = dataset
        self.labels = np.asarray(dataset.gt_labels)
        if len(self.labels) == 0:
            raise ValueError(
                f'{type(self).__name__} needs training labels, but {type(dataset).__name__} has none; use it with '
                "split='train'"
            )
        if batches_per_epoch is not None and batches_per_epoch < 1:
            raise ValueError(f'batches_per_epoch={batches_per_epoch} of {type(self).__name__} must be at least 1')
        self.seed = sync_random_seed() if seed is None else seed
        self.batches_per_epoch = batches_per_epoch
        self.epoch = 0
        self._counts = np.bincount(self.labels)
        self.keep_classes(np.flatnonzero(self._counts))

    @property
    def num_classes(self) -> int:
        """int: Number of classes it chooses from."""
        return len(self.classes)

    def keep_classes(self, classes: np.ndarray) -> None:
        """Narrows the choice, e.g. to the classes that an instance sampler has images for.

        Args:
            classes (np.ndarray): Classes to choose from, sorted.
        """
        self.classes = classes

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch, so that it gets its own choice.

        Args:
            epoch (int): The epoch, 0-based.
        """
        self.epoch = epoch

    def rng(self, *purpose: int) -> np.random.Generator:
        """Gives a generator of this epoch, the same on every rank.

        Args:
            *purpose (int): Which of the independent streams: 0 for classes, 1 for instances.

        Returns:
            np.random.Generator: The generator.
        """
        return np.random.default_rng([self.seed, self.epoch, *purpose])

    def check_batch(self, classes_per_batch: int, world_size: int, images_per_class: int) -> None:
        """Makes sure that there are enough classes.

        Args:
            classes_per_batch (int): Classes of one rank's batch.
            world_size (int): Number of ranks.
            images_per_class (int): Images that one class takes in a batch.

        Raises:
            ValueError: If a global batch needs more classes than there are.
        """
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

    def num_batches(self, images_per_batch: int) -> int:
        """Tells the length of an epoch.

        Args:
            images_per_batch (int): Images of one global batch.

        Returns:
            int: Number of batches, at least 1, the same in every epoch.
        """
        return self.batches_per_epoch or max(1, round(int(self._counts[self.classes].sum()) / images_per_batch))

    def batches(self, classes_per_batch: int, num_batches: int) -> Iterator[np.ndarray]:
        """Yields the classes of each global batch.

        Args:
            classes_per_batch (int): Classes of one global batch.
            num_batches (int): Number of batches.

        Yields:
            np.ndarray: Distinct classes, shape (classes_per_batch,), int64. A rank takes a run of them.
        """
        yield from islice(random_passes(self.classes, classes_per_batch, self.rng(0)), num_batches)
