# Copyright (c) mmreid contributors. All rights reserved.
"""WHO is in a batch under graph sampling: an identity, and the identities that the model finds most like it."""

from collections.abc import Iterator
from itertools import islice

import numpy as np

from mmreid.registry import DATA_SAMPLERS

from .graph_sampler import GraphSampler
from .passes import random_passes
from .random_identity_sampler import RandomIdentitySampler


@DATA_SAMPLERS.register_module()
class GraphIdentitySampler(RandomIdentitySampler, GraphSampler):
    """Chooses an identity, the anchor, and its P - 1 nearest identities for each batch (Liao and Shao, CVPR 2022).

    Every identity is the anchor of one batch of an epoch, in random order. A batch belongs to one rank: W ranks take W
    anchors at a time, in the order in which one rank would take them, so an epoch has ``ceil(identities / W)`` batches;
    if W does not divide the identities, the first anchors of another order fill the last round.

    It holds only a table of neighbors, which ``GraphSamplingHook`` makes. The first ``warmup`` epochs take random
    identities and have the same length.

    Args:
        dataset (ReIDData): See :class:`RandomIdentitySampler`.
        seed (int, optional): See :class:`RandomIdentitySampler`.
        batches_per_epoch (int, optional): See :class:`RandomIdentitySampler`; with fewer than the default, other
            identities are anchors in each epoch. Defaults to None: each identity is anchor once.
        warmup (int): Number of first epochs that take random identities; with all epochs, this is the control
            experiment of graph sampling. Defaults to 0.

    Raises:
        ValueError: If ``warmup`` is negative.

    Attributes:
        num_neighbors (int): P - 1; known when the batch sampler is built.
        neighbors (np.ndarray | None): Positions in :attr:`classes` of the nearest identities of each, nearest
            first, shape (number of identities, P - 1).
    """

    def __init__(self, dataset, seed: int | None = None, batches_per_epoch: int | None = None, warmup: int = 0) -> None:
        super().__init__(dataset, seed, batches_per_epoch)
        if warmup < 0:
            raise ValueError(f'warmup={warmup} of {type(self).__name__} must not be negative')
        self.warmup = warmup
        self.world_size = 1

    def show(self, dataset) -> None:
        """Chooses from the identities of another data set, which the graph does not fit."""
        super().show(dataset)
        self.neighbors = None

    def set_neighbors(self, neighbors: np.ndarray) -> None:
        """Sets the graph; raises a ValueError if its shape does not fit the identities."""
        expected = self.num_classes, self.num_neighbors
        if neighbors.shape != expected:
            raise ValueError(
                f'a graph of shape {neighbors.shape} does not fit {expected[0]} identities x {expected[1]} neighbors'
            )
        self.neighbors = neighbors

    def check_batch(self, classes_per_batch: int, world_size: int, images_per_class: int) -> None:
        """Makes sure that a batch has room for a neighbor, and that identities suffice for a batch and all ranks."""
        batch_size = classes_per_batch * images_per_class
        if classes_per_batch < 2:
            raise ValueError(
                f'batch_size={batch_size} / {images_per_class} images of each leaves no room for a neighbor; raise '
                f'train_dataloader.batch_size to at least {2 * images_per_class}, or lower num_instances'
            )
        if self.num_classes < classes_per_batch:
            raise ValueError(
                f'batch_size={batch_size} / {images_per_class} images of each = {classes_per_batch} identities (an '
                f'anchor and its {classes_per_batch - 1} nearest), but the training set has {self.num_classes}; lower '
                f'train_dataloader.batch_size to at most {self.num_classes * images_per_class}, or raise num_instances'
            )
        if self.num_classes < world_size:
            raise ValueError(
                f'{world_size} ranks take {world_size} different anchors at a time, but the training set has '
                f'{self.num_classes} identities; use at most {self.num_classes} GPUs'
            )
        self.num_neighbors = classes_per_batch - 1
        self.world_size = world_size

    def num_batches(self, once: int) -> int:
        """Returns as many batches as make each identity the anchor once, or what was asked for."""
        return self.batches_per_epoch or -(-self.num_classes // self.world_size)

    def batches(self, classes_per_batch: int, num_batches: int) -> Iterator[np.ndarray]:
        """Yields the identities of one rank after the other, its anchor last; those of one rank are distinct.

        Raises:
            RuntimeError: If there is no graph after the warm-up.
        """
        if self.epoch < self.warmup:
            shape = (self.world_size, self.num_neighbors + 1)
            one_rank = random_passes(self.classes, shape[1], self.rng(0))
            for _ in range(num_batches):
                yield np.concatenate(list(islice(one_rank, shape[0])))
            return
        if self.neighbors is None:
            raise RuntimeError(
                f"{type(self).__name__} has no graph; add dict(type='GraphSamplingHook') to custom_hooks, which makes "
                'it. Without a model, train_dataloader.sampler.warmup=1 shows random batches'
            )
        for anchors in islice(random_passes(np.arange(self.num_classes), self.world_size, self.rng(0)), num_batches):
            yield self.classes[np.column_stack([self.neighbors[anchors], anchors])].reshape(-1)
