# Copyright (c) mmreid contributors. All rights reserved.
"""Finds identities and images that are in training and in test, which makes every result too good."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mmreid.datasets.readers.image_files import real_paths


def shared_identities(train: Any, test: Any) -> list[int | str]:
    """Lists identities that are in both of two data sets.

    Numbers are compared where both were read from the same place (class, ``data_root``, ``ann_file``), as those of
    different data sets mean different people. Own data from two places is compared by what the user calls the
    identities: in the same ``data_root`` (two CSV files) all of that, else only what is not a number. Distractors and
    junk do not count.

    Args:
        train (BaseReIDDataset): Training data; of a ``ConcatReIDDataset`` the parts are compared.
        test (BaseReIDDataset): Test or validation data.

    Returns:
        list[int | str]: Raw pids or names, sorted; of several parts one after the other.
    """
    shared: list[int | str] = []
    for one in _parts(train):
        for other in _parts(test):
            here, there = _place(one), _place(other)
            if here is None or there is None:
                continue
            if here == there:
                pids = np.intersect1d(one.pids, other.pids).tolist()
                shared += [pid for pid in pids if pid >= 0 and pid not in one.DISTRACTOR_PIDS]
            else:
                names = sorted(_names(one) & _names(other))
                shared += [name for name in names if here[1] == there[1] or not name.isdecimal()]
    return shared


def shared_images(train: Any, test: Any) -> list[str]:
    """Lists images that are in both of two data sets, whichever they are and however their paths are spelt.

    Args:
        train (BaseReIDDataset): Training data.
        test (BaseReIDDataset): Test or validation data.

    Returns:
        list[str]: Paths as the training data spells them, sorted.
    """
    paths, tested = image_paths(train), set(real_paths(image_paths(test)))
    return sorted({path for path, real in zip(paths, real_paths(paths), strict=True) if real in tested})


def leak_sentence(train: Any, test: Any) -> str:
    """Says what is in training and in test.

    Args:
        train (BaseReIDDataset): Training data.
        test (BaseReIDDataset): Test or validation data.

    Returns:
        str: A sentence with counts and examples; '' if there is nothing to say.
    """
    pids, images = shared_identities(train, test), shared_images(train, test)
    found = []
    if pids:
        examples = ', '.join(map(str, pids[:3])) + (', ...' if len(pids) > 3 else '')
        found.append(f'{len(pids)} identities ({examples})')
    if images:
        found.append(f'{len(images)} images (the first is {images[0]})')
    if not found:
        return ''
    remedy = 'use the same val_from_train in both' if test.split == 'val' else 'divide the data by identity'
    return (
        f"'{test.name}' ({test.split}) shares {' and '.join(found)} with the training data, so its metrics do not tell "
        f'how well unseen people are found; {remedy}'
    )


def image_paths(dataset: Any) -> list[str]:
    """Lists the images of a data set.

    Args:
        dataset (BaseReIDDataset): The data set.

    Returns:
        list[str]: Paths in the order of the records.
    """
    return [dataset.get_data_info(index)['img_path'] for index in range(len(dataset))]


def _parts(dataset: Any) -> Iterator[Any]:
    yield from getattr(dataset, 'parts', [dataset])


def _names(dataset: Any) -> set[str]:
    return {dataset.id_names[pid] for pid in np.unique(dataset.pids).tolist() if pid in dataset.id_names}


def _place(dataset: Any) -> tuple | None:
    if not hasattr(dataset, 'pids') or not hasattr(dataset, 'data_root'):
        return None
    ann_file = Path(dataset.ann_file).resolve() if dataset.ann_file else None
    return type(dataset), Path(dataset.data_root).resolve(), ann_file
