# Copyright (c) mmreid contributors. All rights reserved.
"""WHICH images stand for a class: draws K instances of each chosen class."""

import numpy as np
from mmengine.logging import print_log

from mmreid.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class KInstanceDrawer:
    """Draws K images of each class (the K of P x K).

    Within an epoch all images of a class are shown before one comes again, and K images drawn at once are different
    unless the class has fewer than K; then its images repeat.

    Args:
        num_instances (int): K. Defaults to 4.
    """

    def __init__(self, num_instances: int = 4) -> None:
        if num_instances < 1:
            raise ValueError(f'num_instances={num_instances} of {type(self).__name__} must be at least 1')
        self.num_instances = num_instances

    @property
    def images_per_class(self) -> int:
        """int: Images that one class takes in a batch."""
        return self.num_instances

    def fit(self, dataset) -> None:
        """Indexes the images of each class.

        Args:
            dataset (BaseReIDDataset): The training set.
        """
        labels = np.asarray(dataset.gt_labels)
        self.labels = labels
        self.counts = np.bincount(labels)
        self.starts = np.cumsum(self.counts) - self.counts
        few = int((self.counts < self.num_instances).sum())
        if few:
            print_log(
                f'{few} of {len(self.counts)} identities have fewer than num_instances={self.num_instances} images; '
                'theirs repeat within a batch',
                logger='current',
            )

    def start_epoch(self, rng: np.random.Generator) -> None:
        """Shuffles the images of every class.

        Args:
            rng (np.random.Generator): Source of this epoch's choices, the same on every rank.
        """
        self.rng = rng
        # Sorting by class with random keys shuffles every class at once.
        self.order = np.lexsort((rng.random(len(self.labels)), self.labels))
        self.used = np.zeros(len(self.counts), dtype=np.int64)

    def draw(self, classes: np.ndarray) -> np.ndarray:
        """Draws the images of one batch.

        Args:
            classes (np.ndarray): The classes, shape (P,).

        Returns:
            np.ndarray: Indices into the data set, shape (P * K,), the images of a class side by side.
        """
        k = self.num_instances
        at = self.starts[classes] + self.used[classes]
        enough = self.used[classes] + k <= self.counts[classes]
        drawn = self.order[np.minimum(at[:, None] + np.arange(k), len(self.order) - 1)]
        self.used[classes] += k
        for row in np.flatnonzero(~enough):
            drawn[row] = self._wrap(classes[row])
        return drawn.reshape(-1)

    def _wrap(self, label: int) -> np.ndarray:
        """Takes what is left of a class, then goes on with a new order that shows the other images first."""
        start, count = self.starts[label], self.counts[label]
        images = self.order[start : start + count]
        drawn = images[self.used[label] - self.num_instances :]
        while True:
            fresh = self.rng.permutation(images)
            again = np.isin(fresh, drawn)
            fresh = np.concatenate([fresh[~again], fresh[again]])
            taken = min(self.num_instances - len(drawn), count)
            drawn = np.concatenate([drawn, fresh[:taken]])
            if len(drawn) == self.num_instances:
                break
        self.order[start : start + count] = fresh
        self.used[label] = taken
        return drawn
