# Copyright (c) mmreid contributors. All rights reserved.
"""What every identity sampler has: WHO is in a batch."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np
from mmengine.dist import sync_random_seed
from torch.utils.data import Sampler

from mmreid.datasets.contract import ReIDData, require_fields


class IdentitySampler(Sampler, ABC):
    """Chooses the identities of each batch; base of every ``sampler`` that goes with an ``IdentityBatchSampler``.

    What it chooses depends on seed and epoch only. MMEngine calls ``set_epoch`` on it.

    Args:
        dataset (ReIDData): The training set; ``gt_labels`` is used.
        seed (int, optional): Seed; the runner gives its own. Defaults to None: one is drawn and shared by all ranks.

    Raises:
        TypeError: If the data set has no labels.
        ValueError: If it has no training images.

    Attributes:
        labels (np.ndarray): Training label of each image, 0, 1, 2, ..., shape (N,).
        classes (np.ndarray): Training labels of the identities it chooses from, sorted.
        epoch (int): The epoch, 0-based.
        batches_per_epoch (int, optional): Length of an epoch that was asked for.
    """

    batches_per_epoch: int | None = None

    def __init__(self, dataset: ReIDData, seed: int | None = None) -> None:
        require_fields(dataset, type(self).__name__, 'gt_labels')
        self.show(dataset)
        self.seed = sync_random_seed() if seed is None else seed
        self.epoch = 0

    def show(self, dataset: ReIDData) -> None:
        """Chooses from the identities of another data set, e.g. one with pseudo labels, from now on."""
        self.dataset = dataset
        self.labels = np.asarray(dataset.gt_labels)
        if len(self.labels) == 0:
            raise ValueError(
                f'{type(self).__name__} needs training labels, but {type(dataset).__name__} has none; use it with '
                "split='train'"
            )
        self.keep_classes(np.flatnonzero(np.bincount(self.labels)))

    @property
    def num_classes(self) -> int:
        """int: Number of identities it chooses from."""
        return len(self.classes)

    def keep_classes(self, classes: np.ndarray) -> None:
        """Narrows the choice to ``classes`` (sorted), e.g. to those that an instance sampler has images of."""
        self.classes = classes

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch (0-based), so that it gets its own choice."""
        self.epoch = epoch

    def rng(self, *purpose: int) -> np.random.Generator:
        """Returns this epoch's generator, the same on every rank: ``rng(0)`` for identities, ``rng(1)`` for images."""
        return np.random.default_rng([self.seed, self.epoch, *purpose])

    @abstractmethod
    def check_batch(self, classes_per_batch: int, world_size: int, images_per_class: int) -> None:
        """Makes sure that batches can be made.

        Args:
            classes_per_batch (int): Identities in the batch of one rank.
            world_size (int): Number of ranks.
            images_per_class (int): Images of an identity in a batch.

        Raises:
            ValueError: If not, with the numbers.
        """

    @abstractmethod
    def num_batches(self, once: int) -> int:
        """Returns the length of an epoch: batches of a rank, at least 1; ``once`` show about all images once."""

    @abstractmethod
    def batches(self, classes_per_batch: int, num_batches: int) -> Iterator[np.ndarray]:
        """Yields the identities of each global batch.

        Args:
            classes_per_batch (int): Identities of one global batch.
            num_batches (int): Number of batches; may be more than an epoch has.

        Yields:
            np.ndarray: Shape (classes_per_batch,), int64; each rank takes an equal run of them, in rank order.
        """
