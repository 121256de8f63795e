# Copyright (c) mmreid contributors. All rights reserved.
"""WHO is in a batch: chooses the classes of every mini batch of an epoch."""

from collections.abc import Iterator

import numpy as np
from mmengine.dist import sync_random_seed
from torch.utils.data import Sampler

from mmreid.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class RandomClassChooser(Sampler):
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
        self.num_classes = int(self.labels.max()) + 1
        self.seed = sync_random_seed() if seed is None else seed
        self.batches_per_epoch = batches_per_epoch
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch, so that it gets its own choice.

        Args:
            epoch (int): The epoch, 0-based.
        """
        self.epoch = epoch

    def rng(self, purpose: int) -> np.random.Generator:
        """Gives a generator of this epoch, the same on every rank.

        Args:
            purpose (int): Which of the independent streams: 0 for classes, 1 for instances.

        Returns:
            np.random.Generator: The generator.
        """
        return np.random.default_rng([self.seed, self.epoch, purpose])

    def num_batches(self, images_per_batch: int) -> int:
        """Tells the length of an epoch.

        Args:
            images_per_batch (int): Images of one global batch.

        Returns:
            int: Number of batches, at least 1, the same in every epoch.
        """
        return self.batches_per_epoch or max(1, round(len(self.labels) / images_per_batch))

    def batches(self, classes_per_batch: int, num_batches: int) -> Iterator[np.ndarray]:
        """Yields the classes of each global batch.

        Args:
            classes_per_batch (int): Classes of one global batch.
            num_batches (int): Length of the epoch.

        Yields:
            np.ndarray: Distinct classes, shape (classes_per_batch,), int64.
        """
        rng = self.rng(0)
        queue = rng.permutation(self.num_classes)
        for _ in range(num_batches):
            if len(queue) < classes_per_batch:
                # The rest of the old pass comes first; the new pass must not repeat it within this batch.
                fresh = rng.permutation(self.num_classes)
                again = np.isin(fresh, queue)
                queue = np.concatenate([queue, fresh[~again], fresh[again]])
            yield queue[:classes_per_batch]
            queue = queue[classes_per_batch:]
