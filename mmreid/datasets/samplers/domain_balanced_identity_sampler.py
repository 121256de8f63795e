# Copyright (c) mmreid contributors. All rights reserved.
"""WHO is in a batch of several source domains: a fixed fraction of the identities from each."""

from collections.abc import Iterator, Sequence
from math import gcd

import numpy as np

from mmreid.datasets.contract import ReIDData, require_fields
from mmreid.registry import DATA_SAMPLERS

from .passes import random_passes
from .pseudo_label_view import PseudoLabelView
from .random_identity_sampler import RandomIdentitySampler


@DATA_SAMPLERS.register_module()
class DomainBalancedIdentitySampler(RandomIdentitySampler):
    """Chooses identities so that every batch of every rank has the same fraction of each domain.

    Goes through the identities of each domain in a random order of their own, so a small domain is repeated more often
    than a large one.

    Args:
        dataset (ReIDData): The training set, e.g. a ``ConcatReIDDataset``.
        weights (Sequence[int], optional): Weight of each domain in the order of the domains, e.g. ``(3, 1)``. Defaults
            to None, equal weights.
        seed (int, optional): See :class:`RandomIdentitySampler`.
        batches_per_epoch (int, optional): See :class:`RandomIdentitySampler`.

    Raises:
        ValueError: If the weights do not fit the domains, or an identity is in two of them.
    """

    def __init__(
        self,
        dataset: ReIDData,
        weights: Sequence[int] | None = None,
        seed: int | None = None,
        batches_per_epoch: int | None = None,
    ) -> None:
        name = type(self).__name__
        require_fields(dataset, name, 'gt_labels', 'domains', 'pids')
        self.domains, domain_of_image = np.unique(dataset.domains, return_inverse=True)
        weights = [1] * len(self.domains) if weights is None else list(weights)
        if len(weights) != len(self.domains) or any(int(weight) != weight or weight < 1 for weight in weights):
            raise ValueError(
                f'weights={weights} of {name} must be {len(self.domains)} whole numbers of at least 1, one for each '
                f'of the domains {self.domains.tolist()}'
            )
        self.weights = np.array(weights, dtype=np.int64) // gcd(*map(int, weights))
        labels = np.asarray(dataset.gt_labels)
        self.domain_of_class = np.zeros(int(labels.max(initial=0)) + 1, dtype=np.int64)
        self.domain_of_class[labels] = domain_of_image
        mixed = np.unique(labels[self.domain_of_class[labels] != domain_of_image])
        if len(mixed):
            pids = ', '.join(str(dataset.pids[np.argmax(labels == label)]) for label in mixed[:5])
            raise ValueError(
                f'{len(mixed)} identities have images in more than one domain, e.g. pid {pids}; {name} needs each in '
                'one, as ConcatReIDDataset makes them'
            )
        super().__init__(dataset, seed, batches_per_epoch)

    def show(self, dataset: ReIDData) -> None:
        """Chooses from the identities of another data set; raises a ValueError for pseudo labels, which mix domains."""
        if isinstance(dataset, PseudoLabelView):
            raise ValueError(
                f'{type(self).__name__} needs identities of one domain each, but a cluster may have images of several; '
                "use sampler=dict(type='RandomIdentitySampler', batches_per_epoch=...)"
            )
        super().show(dataset)

    def keep_classes(self, classes: np.ndarray) -> None:
        """Narrows the choice in every domain."""
        super().keep_classes(classes)
        domains = self.domain_of_class[classes]
        self.classes_by_domain = [classes[domains == domain] for domain in range(len(self.domains))]

    def check_batch(self, classes_per_batch: int, world_size: int, images_per_class: int) -> None:
        """Makes sure that the weights divide a batch, and that every domain has enough identities."""
        unit = int(self.weights.sum())
        batch_size = classes_per_batch * images_per_class
        if classes_per_batch % unit:
            raise ValueError(
                f'batch_size={batch_size} has {classes_per_batch} identities, which cannot be divided among '
                f'{len(self.domains)} domains as {":".join(map(str, self.weights))}; choose a '
                f'train_dataloader.batch_size that is a multiple of {unit * images_per_class}, or other weights'
            )
        needed = self.weights * (classes_per_batch // unit * world_size)
        there = np.array([len(classes) for classes in self.classes_by_domain])
        short = np.flatnonzero(there < needed)
        if len(short):
            first = short[0]
            fits = int((there // (self.weights * world_size)).min()) * unit * images_per_class
            remedy = (
                f'lower train_dataloader.batch_size to at most {fits}' if fits else 'use fewer GPUs or other weights'
            )
            raise ValueError(
                f'domain {self.domains[first]} has {there[first]} identities, but batch_size={batch_size} on '
                f'{world_size} rank(s) takes {needed[first]} different ones of it for each batch; {remedy}'
            )

    def batches(self, classes_per_batch: int, num_batches: int) -> Iterator[np.ndarray]:
        """Yields distinct identities; the domains alternate, so that each rank gets the same fraction of each."""
        rounds = classes_per_batch // int(self.weights.sum())
        walks = [
            random_passes(classes, rounds * weight, self.rng(0, domain))
            for domain, (classes, weight) in enumerate(zip(self.classes_by_domain, self.weights.tolist(), strict=True))
        ]
        for _ in range(num_batches):
            yield np.concatenate([next(walk).reshape(rounds, -1) for walk in walks], axis=1).reshape(-1)
