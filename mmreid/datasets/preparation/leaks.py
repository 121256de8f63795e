# Copyright (c) mmreid contributors. All rights reserved.
"""Finds identities and images that are in both training and test, which makes every result too good."""

from pathlib import Path
from typing import Any

import numpy as np

from mmreid.datasets.contract import inner_datasets
from mmreid.datasets.readers.image_files import shared_files


def shared_identities(train: Any, test: Any) -> list[int | str]:
    """Lists the identities that two data sets share, wrapped or joined from parts.

    Pids are compared if both were read from the same place (class, ``data_root``, ``ann_file``); otherwise equal pids
    mean different people, and only what the user calls the identities of own data is compared: all names in the same
    ``data_root`` (two CSV files), names that are not numbers in different ones. Distractors and junk do not count.

    Args:
        train (Dataset): Training data.
        test (Dataset): Test or validation data.

    Returns:
        list[int | str]: Raw pids or names, sorted; of several parts one after the other.
    """
    shared: list[int | str] = []
    for one in _parts(train):
        for other in _parts(test):
            here, there = _place(one), _place(other)
            if here == there:
                pids = np.intersect1d(one.pids, other.pids).tolist()
                shared += [pid for pid in pids if pid >= 0 and pid not in one.DISTRACTOR_PIDS]
            else:
                names = sorted(_names(one) & _names(other))
                shared += [name for name in names if here[1] == there[1] or not name.isdecimal()]
    return shared


def shared_images(train: Any, test: Any) -> list[str]:
    """Lists the image files that two data sets share, through whatever links, by their paths in ``train``, sorted."""
    trained, tested = image_paths(train), image_paths(test)
    if len(trained) <= len(tested):  # the first list is looked up on disk
        return sorted({path for path, _ in shared_files(trained, tested)})
    return sorted({path for _, path in shared_files(tested, trained)})


def leak_sentence(train: Any, test: Any) -> str:
    """Says what test data shares with training data.

    Args:
        train (Dataset): Training data.
        test (Dataset): Test or validation data.

    Returns:
        str: A sentence with counts and examples; '' if nothing is shared.
    """
    tested = list(inner_datasets(test))
    pids, images = shared_identities(train, test), shared_images(train, test)
    found = []
    if pids:
        examples = ', '.join(map(str, pids[:3])) + (', ...' if len(pids) > 3 else '')
        found.append(f'{len(pids)} identities ({examples})')
    if images:
        found.append(f'{len(images)} images (the first is {images[0]})')
    if not found:
        return ''
    name, split = '+'.join(dataset.name for dataset in tested), tested[0].split
    remedy = 'use the same val_from_train in both' if split == 'val' else 'divide the data by identity'
    return (
        f"'{name}' ({split}) shares {' and '.join(found)} with the training data, so its metrics do not tell "
        f'how well unseen people are found; {remedy}'
    )


def image_paths(dataset: Any) -> list[str]:
    """Lists the image files of a data set, wrapped or not, in the order of its records."""
    return [inner.get_data_info(i)['img_path'] for inner in inner_datasets(dataset) for i in range(len(inner))]


def _parts(dataset: Any) -> list[Any]:
    return [part for inner in inner_datasets(dataset) for part in inner.parts]


def _names(dataset: Any) -> set[str]:
    return {dataset.id_names[pid] for pid in np.unique(dataset.pids).tolist() if pid in dataset.id_names}


def _place(dataset: Any) -> tuple:
    ann_file = Path(dataset.ann_file).resolve() if dataset.ann_file else None
    return type(dataset), Path(dataset.data_root).resolve(), ann_file
