# Copyright (c) mmreid contributors. All rights reserved.
"""What loops, hooks, samplers and checks may ask of a training or test set."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np


class ReIDData:
    """Base of what is trained and tested on: :class:`BaseReIDDataset`, and :class:`DomainView` inside a batch sampler.

    Attributes:
        name (str): Prefix of the metrics.
        split (str): ``'train'``, ``'val'``, ``'query'``, ``'gallery'`` or ``'test'``.
        pids (np.ndarray): Raw identity of each image, shape (N,), int64; ``camids`` and ``domains`` likewise.
        gt_labels (np.ndarray): Training labels 0, 1, 2, ..., shape (N,), int64; of a test set shape (0,).
        splits (np.ndarray): ``'train'``, ``'query'`` or ``'gallery'`` of each image, shape (N,).
        modalities (np.ndarray): ``'visible'``, ``'infrared'`` or ``''`` of each image, shape (N,).
        num_classes (int): Number of training identities; 0 for a test set.
        num_corrupt (int): Number of training images that could not be read so far.
        corrupt_files (Sequence[str]): Their files.
        damaged_files (Sequence[str]): Images read so far that their decoder called damaged.
    """

    name: str
    split: str
    pids: np.ndarray
    camids: np.ndarray
    domains: np.ndarray
    gt_labels: np.ndarray
    splits: np.ndarray
    modalities: np.ndarray
    num_classes: int
    num_corrupt: int = 0
    corrupt_files: Sequence[str] = ()
    damaged_files: Sequence[str] = ()

    def __len__(self) -> int:
        raise NotImplementedError

    def get_data_info(self, idx: int) -> dict:
        """Returns the record of an image, at least with ``img_path``, ``pid`` and ``camid``."""
        raise NotImplementedError

    @property
    def parts(self) -> Sequence['ReIDData']:
        """Sequence[ReIDData]: The data sets that it was joined from; itself if it was not joined."""
        return [self]

    @property
    def part_names(self) -> list[str]:
        """list[str]: Name of each part; the ``domain`` of a record is a position in this list."""
        return [part.name for part in self.parts]


def inner_datasets(dataset: Any) -> Iterator[ReIDData]:
    """Finds the re-ID data sets inside the wrappers of MMEngine and torch.

    Args:
        dataset (Dataset): A data set, wrapped or not.

    Yields:
        ReIDData: Each of them; none if there are only others.
    """
    if isinstance(dataset, ReIDData):
        yield dataset
        return
    # Wrappers have no base class in common; they hold several data sets or one.
    for inner in getattr(dataset, 'datasets', None) or [getattr(dataset, 'dataset', None)]:
        if inner is not None:
            yield from inner_datasets(inner)


def require_fields(dataset: Any, needed_by: str, *fields: str) -> None:
    """Refuses a data set of a user's own, or a wrapper, without the given fields of :class:`ReIDData`.

    Args:
        dataset (Dataset): The ``dataset`` of the dataloader config.
        needed_by (str): Name of the class that needs the fields, for the message.
        *fields (str): Names of attributes.

    Raises:
        TypeError: If one of them is missing.
    """
    missing = [field for field in fields if not hasattr(dataset, field)]
    if missing:
        raise TypeError(
            f'{needed_by} needs {" and ".join(missing)} of its data set, which a {type(dataset).__name__} does not '
            'have; use a data set of mmreid, such as Market1501 or a ConcatReIDDataset, without a wrapper around it'
        )
