# Copyright (c) mmreid contributors. All rights reserved.
"""Batches of identities seen by several cameras, as the codes of SpCL and Cluster Contrast draw them."""

import random
from collections.abc import Iterator
from itertools import islice

import numpy as np
import torch
from torch.utils.data import Sampler

from mmreid.datasets.contract import ReIDData, require_fields
from mmreid.registry import DATA_SAMPLERS

from .pseudo_label_sampler import PseudoLabelSampler
from .reid_batch_sampler import ReIDBatchSampler
from .seeded_sampler import check_seeded


@DATA_SAMPLERS.register_module()
class MultiGalleryBatchSampler(ReIDBatchSampler, PseudoLabelSampler):
    """Draws K images of each identity, if possible from other cameras than the first of them.

    A pass goes through all identities in random order. An image of each is drawn, and K - 1 more from other cameras, or
    from all where there is no other; they repeat where there are fewer than K. **An identity of one image gives only
    this one**, so the groups of a batch do not have to be whole. The stream of a pass is cut into batches, what is left
    at its end is dropped, and another pass begins until the epoch is over.

    The draws are those of the official codes, number for number, from streams that depend on seed and epoch. Several
    ranks share one stream: each takes its own slice of a global batch.

    Paper: Self-paced Contrastive Learning with Hybrid Memory for Domain Adaptive Object Re-ID, NeurIPS 2020
    (arXiv 2006.02713).

    Args:
        sampler (Sampler): Carries data set, seed and epoch, e.g. ``dict(type='DefaultSampler', shuffle=True)``.
        batch_size (int): Images per batch and rank.
        num_instances (int): K. Defaults to 4.
        batches_per_epoch (int): Length of an epoch, the ``iters`` of the official codes. Defaults to 400.
        across_cameras (bool): Whether to prefer other cameras. Defaults to True.
        rank (int, optional): This process rank. Defaults to the running one.
        world_size (int, optional): Number of ranks. Defaults to the size of the running group.

    Raises:
        TypeError: If the sampler or the data set lacks what is needed.
        ValueError: If an argument is out of range; and when an epoch begins, if there are too few images.
    """

    def __init__(
        self,
        sampler: Sampler,
        batch_size: int,
        num_instances: int = 4,
        batches_per_epoch: int = 400,
        across_cameras: bool = True,
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        name = type(self).__name__
        check_seeded(sampler, name)
        require_fields(sampler.dataset, name, 'gt_labels', 'camids')
        super().__init__(sampler, batch_size, rank, world_size)
        if num_instances < 2 or batch_size < 1 or batches_per_epoch < 1:
            raise ValueError(
                f'num_instances={num_instances} of {name} must be at least 2, batch_size={batch_size} and '
                f'batches_per_epoch={batches_per_epoch} at least 1'
            )
        self.num_instances = num_instances
        self.batches_per_epoch = batches_per_epoch
        self.across_cameras = across_cameras
        # Not checked yet, as pseudo labels may replace them.
        self.labels = np.asarray(self.dataset.gt_labels)

    @property
    def dataset(self) -> ReIDData:
        """ReIDData: The images that it draws from."""
        return self.sampler.dataset

    def set_labels(self, labels: np.ndarray) -> None:
        """Sets the identities, see :class:`PseudoLabelSampler`."""
        self._check(labels)
        self.labels = labels

    def _check(self, labels: np.ndarray) -> None:
        counts = np.bincount(labels[labels >= 0])
        drawn = int(np.where(counts > 1, self.num_instances, counts).sum())
        wanted = self.batch_size * self.world_size
        if drawn < wanted:
            raise ValueError(
                f'batch_size={self.batch_size} on {self.world_size} rank(s) takes {wanted} images, but '
                f'{int((counts > 0).sum())} identities or clusters x num_instances={self.num_instances} give '
                f'{drawn}; lower train_dataloader.batch_size, raise num_instances, or find more clusters (lower '
                'min_samples or k1 of the clustering, another eps, weights that tell people apart)'
            )

    def __len__(self) -> int:
        return self.batches_per_epoch

    def batches(self, num_batches: int) -> Iterator[np.ndarray]:
        """Yields this rank's batches of the sampler's epoch."""
        self._check(self.labels)
        seeds = np.random.SeedSequence([self.sampler.seed, self.sampler.epoch]).generate_state(3)
        streams = Streams.of(*seeds.tolist())
        size = self.batch_size * self.world_size
        mine = slice(self.rank * self.batch_size, (self.rank + 1) * self.batch_size)
        for batch in islice(self._global_batches(size, streams), num_batches):
            yield batch[mine]

    def _global_batches(self, size: int, streams: 'Streams') -> Iterator[np.ndarray]:
        images = images_by_label(self.labels)
        camids = np.asarray(self.dataset.camids) if self.across_cameras else None
        while True:
            images_of_pass = np.array(gallery_pass(images, camids, self.num_instances, streams))
            for start in range(0, len(images_of_pass) - size + 1, size):
                yield images_of_pass[start : start + size]


class Streams:
    """The three streams of random numbers that the official codes draw from."""

    def __init__(self, python: random.Random, numpy: np.random.RandomState, generator: torch.Generator) -> None:
        self.python, self.numpy, self.generator = python, numpy, generator

    @classmethod
    def of(cls, python: int, numpy: int, generator: int) -> 'Streams':
        """Seeds each of them."""
        return cls(random.Random(python), np.random.RandomState(numpy), torch.Generator().manual_seed(generator))


def images_by_label(labels: np.ndarray) -> list[np.ndarray]:
    """Lists the images of each label, in the order in which the labels (N,) occur first; those below 0 are left out."""
    known = np.flatnonzero(labels >= 0)
    _, first, label, counts = np.unique(labels[known], return_index=True, return_inverse=True, return_counts=True)
    groups = np.split(known[np.argsort(label, kind='stable')], np.cumsum(counts)[:-1])
    return [groups[place] for place in np.argsort(first)]


def gallery_pass(
    images: list[np.ndarray], camids: np.ndarray | None, num_instances: int, streams: Streams
) -> list[int]:
    """Draws one pass over all identities.

    Args:
        images (list[np.ndarray]): Images of each identity.
        camids (np.ndarray, optional): Camera of each image of the data set; None takes all other images.
        num_instances (int): K.
        streams (Streams): Where the numbers come from.

    Returns:
        list[int]: Images, up to K of each identity side by side.
    """
    drawn: list[int] = []
    for identity in torch.randperm(len(images), generator=streams.generator).tolist():
        own = images[identity]
        anchor = streams.python.choice(own.tolist())
        others = own[:0] if camids is None else own[camids[own] != camids[anchor]]
        if not len(others):
            others = own[own != anchor]
        drawn.append(anchor)
        if len(others):
            # A full K candidates are asked for, though only K - 1 are drawn.
            drawn += streams.numpy.choice(others, num_instances - 1, replace=len(others) < num_instances).tolist()
    return drawn
