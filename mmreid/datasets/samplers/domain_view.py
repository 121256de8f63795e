# Copyright (c) mmreid contributors. All rights reserved.
"""The images of some domains, as samplers see a data set."""

from collections.abc import Sequence

import numpy as np


class DomainView:
    """The arrays of those images of a data set that belong to some domains, with contiguous labels of their own.

    Args:
        dataset (BaseReIDDataset): A data set with an array ``domains``, e.g. a ``ConcatReIDDataset``.
        domain (int | Sequence[int]): Which domains.

    Raises:
        ValueError: If there is no image of one of them.

    Attributes:
        indices (np.ndarray): Index in ``dataset`` of each image, shape (N,).
        gt_labels (np.ndarray): Labels 0, 1, 2, ... within the view, shape (N,).
        pids (np.ndarray): As in ``dataset``, shape (N,); so are ``camids``, ``domains`` and ``modalities``.
        classes (np.ndarray): Label in ``dataset`` of each label of the view.
    """

    def __init__(self, dataset, domain: int | Sequence[int]) -> None:
        present, counts = np.unique(dataset.domains, return_counts=True)
        missing = np.setdiff1d(domain, present)
        if len(missing):
            there = ', '.join(f'{number} ({count} images)' for number, count in zip(present, counts, strict=True))
            raise ValueError(f'the training set has no image of domain {missing[0]}, it has {there}')
        self.dataset = dataset
        self.indices = np.flatnonzero(np.isin(dataset.domains, domain))
        self.classes, self.gt_labels = np.unique(np.asarray(dataset.gt_labels)[self.indices], return_inverse=True)

    def __getattr__(self, name: str) -> np.ndarray:
        if name in ('pids', 'camids', 'domains', 'modalities'):
            return np.asarray(getattr(self.dataset, name))[self.indices]
        raise AttributeError(f'{type(self).__name__} has no {name}')

    def __len__(self) -> int:
        return len(self.indices)
