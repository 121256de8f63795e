# Copyright (c) mmreid contributors. All rights reserved.
"""The images of some domains or a modality, as samplers see a data set."""

from collections.abc import Sequence

import numpy as np

from mmreid.datasets.contract import ReIDData


class DomainView(ReIDData):
    """The images of a data set that belong to some domains or a modality, with contiguous labels of their own.

    Args:
        dataset (ReIDData): A data set of several domains, e.g. a ``ConcatReIDDataset``.
        domain (int | Sequence[int], optional): Which domains. Defaults to None, all.
        modality (str, optional): Which modality, ``'visible'`` or ``'infrared'``. Defaults to None, all.

    Raises:
        ValueError: If one of them has no image.

    Attributes:
        indices (np.ndarray): Index in ``dataset`` of each image, shape (N,).
        gt_labels (np.ndarray): Labels 0, 1, 2, ... within the view, shape (N,).
        classes (np.ndarray): Label in ``dataset`` of each label of the view.
    """

    def __init__(
        self, dataset: ReIDData, domain: int | Sequence[int] | None = None, modality: str | None = None
    ) -> None:
        chosen = np.ones(len(dataset.gt_labels), dtype=bool)
        if domain is not None:
            chosen &= _is_one_of(dataset.domains, domain, 'domain')
        if modality is not None:
            chosen &= _is_one_of(dataset.modalities, modality, 'modality')
        self.dataset = dataset
        self.indices = np.flatnonzero(chosen)
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


def _is_one_of(values: np.ndarray, wanted: int | str | Sequence[int], what: str) -> np.ndarray:
    """Tells which images (N,) have one of the wanted values; raises a ValueError if one occurs nowhere."""
    present, counts = np.unique(values, return_counts=True)
    missing = np.setdiff1d(wanted, present)
    if len(missing):
        there = ', '.join(
            f'{str(value) or "none"} ({count} images)' for value, count in zip(present, counts, strict=True)
        )
        raise ValueError(f'the training set has no image of {what} {missing[0]}, it has {there}')
    return np.isin(values, wanted)
