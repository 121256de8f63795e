# Copyright (c) mmreid contributors. All rights reserved.
"""The images of some domains, as samplers see a data set."""

from collections.abc import Sequence

import numpy as np

from mmreid.datasets.contract import ReIDData


class DomainView(ReIDData):
    """The images of a data set that belong to some domains, with contiguous labels of their own.

    Args:
        dataset (ReIDData): A data set of several domains, e.g. a ``ConcatReIDDataset``.
        domain (int | Sequence[int]): Which domains.

    Raises:
        ValueError: If one of them has no image.

    Attributes:
        indices (np.ndarray): Index in ``dataset`` of each image, shape (N,).
        gt_labels (np.ndarray): Labels 0, 1, 2, ... within the view, shape (N,).
        classes (np.ndarray): Label in ``dataset`` of each label of the view.
    """

    def __init__(self, dataset: ReIDData, domain: int | Sequence[int]) -> None:
        present, counts = np.unique(dataset.domains, return_counts=True)
        missing = np.setdiff1d(domain, present)
        if len(missing):
            there = ', '.join(f'{number} ({count} images)' for number, count in zip(present, counts, strict=True))
            raise ValueError(f'the training set has no image of domain {missing[0]}, it has {there}')
        self.dataset = dataset
        self.indices = np.flatnonzero(np.isin(dataset.domains, domain))
        self.classes, self.gt_labels = np.unique(np.asarray(dataset.gt_labels)[self.indices], return_inverse=True)

    def __len__(self) -> int:
        return len(self.indices)

    def get_data_info(self, idx: int) -> dict:
        """Returns the record of an image of the view."""
        return self.dataset.get_data_info(int(self.indices[idx]))

    @property
    def name(self) -> str:
        """str: Name of the whole data set."""
        return self.dataset.name

    @property
    def split(self) -> str:
        """str: Split of the whole data set."""
        return self.dataset.split

    @property
    def num_classes(self) -> int:
        """int: Number of identities of the view."""
        return len(self.classes)

    @property
    def pids(self) -> np.ndarray:
        """np.ndarray: Raw identities, shape (N,)."""
        return np.asarray(self.dataset.pids)[self.indices]

    @property
    def camids(self) -> np.ndarray:
        """np.ndarray: Cameras, shape (N,)."""
        return np.asarray(self.dataset.camids)[self.indices]

    @property
    def domains(self) -> np.ndarray:
        """np.ndarray: Domains, shape (N,)."""
        return np.asarray(self.dataset.domains)[self.indices]

    @property
    def splits(self) -> np.ndarray:
        """np.ndarray: Splits, shape (N,)."""
        return np.asarray(self.dataset.splits)[self.indices]

    @property
    def modalities(self) -> np.ndarray:
        """np.ndarray: Modalities, shape (N,)."""
        return np.asarray(self.dataset.modalities)[self.indices]
