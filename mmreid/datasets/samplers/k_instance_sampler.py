# Copyright (c) mmreid contributors. All rights reserved.
"""WHICH images of an identity are in a batch: K instances of each chosen identity."""

import numpy as np
from mmengine.logging import print_log

from mmreid.datasets.contract import ReIDData
from mmreid.registry import DATA_SAMPLERS

from .image_table import ImageTable


@DATA_SAMPLERS.register_module()
class KInstanceSampler:
    """Draws K images of each identity (the K of P x K).

    Within an epoch all images of an identity are shown before one comes again, and K images drawn at once are different
    unless the identity has fewer than K; then its images repeat.

    Args:
        num_instances (int): K. Defaults to 4.

    Attributes:
        classes (np.ndarray): Training labels of the identities that can be drawn, sorted; known after :meth:`fit`.
    """

    def __init__(self, num_instances: int = 4) -> None:
        if num_instances < 1:
            raise ValueError(f'num_instances={num_instances} of {type(self).__name__} must be at least 1')
        self.num_instances = num_instances

    @property
    def images_per_class(self) -> int:
        """int: Images that one identity takes in a batch."""
        return self.num_instances

    def fit(self, dataset: ReIDData) -> None:
        """Indexes the images of each identity of a training set."""
        labels = np.asarray(dataset.gt_labels)
        self.table = ImageTable(labels, int(labels.max()) + 1)
        self.classes = np.flatnonzero(self.table.counts)
        few = int((self.table.counts[self.classes] < self.num_instances).sum())
        if few:
            print_log(
                f'{few} of {len(self.classes)} identities have fewer than num_instances={self.num_instances} images; '
                'theirs repeat within a batch',
                logger='current',
            )

    def num_batches(self, images_per_batch: int) -> int:
        """Returns how many batches, at least 1, show about as many images as there are."""
        return max(1, round(int(self.table.counts[self.classes].sum()) / images_per_batch))

    def start_epoch(self, rng: np.random.Generator) -> None:
        """Shuffles the images of every identity; ``rng`` must be the same on every rank."""
        self.table.shuffle(rng)

    def draw(self, classes: np.ndarray) -> np.ndarray:
        """Draws the images of some batches.

        Args:
            classes (np.ndarray): Training labels of the identities of each batch, shape (B, P), all different.

        Returns:
            np.ndarray: Indices into the data set, shape (B, P * K), the images of an identity side by side.
        """
        return self.table.draw(classes.reshape(-1), self.num_instances).reshape(len(classes), -1)
