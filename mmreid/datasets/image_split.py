# Copyright (c) mmreid contributors. All rights reserved.
"""Divides training images into two halves that show the same identities, e.g. for an architecture search."""

import numpy as np
from mmengine.logging import print_log

from mmreid.datasets.preparation.leaks import image_paths
from mmreid.registry import DATASETS

from .base_reid_dataset import BaseReIDDataset


@DATASETS.register_module(name='ImageSplit')
def image_split(
    dataset: dict, part: int, ratio: float = 0.5, min_images: int = 4, seed: int = 0, **kwargs
) -> BaseReIDDataset:
    """Builds one of two parts of a training set, which is divided by image within each identity and modality.

    Both parts show the same identities under the same labels, so one classifier fits both. The only image of an
    identity and modality is in both parts.

    Args:
        dataset (dict): Config of the training set.
        part (int): 0 or 1.
        ratio (float): Fraction of the images in part 0. Defaults to 0.5.
        min_images (int): Least images of an identity and modality in each part, if there are twice as many; fewer
            images are divided as equally as possible. Defaults to 4, the usual K of batches.
        seed (int): Seed of the division. Defaults to 0.
        **kwargs: Further arguments of the training set, e.g. from a data set that joins several.

    Returns:
        BaseReIDDataset: The part.

    Raises:
        TypeError: If it is not a data set of mmreid.
        ValueError: If an argument is out of range, or the data set is not for training.

    Examples:
        >>> train_dataloader = dict(dataset=dict(type='ImageSplit', part=0, dataset=dict(type='RegDB', ...)), ...)
    """
    if part not in (0, 1):
        raise ValueError(f'part={part!r} of ImageSplit must be 0 or 1')
    built = DATASETS.build(dict(dataset, **kwargs))
    if not isinstance(built, BaseReIDDataset):
        raise TypeError(f'ImageSplit divides data sets of mmreid, but got a {type(built).__name__}; give one of those')
    if built.split != 'train':
        raise ValueError(f'ImageSplit divides training sets, but got split={built.split!r}')
    built.full_init()
    parts, single = divide(built.pids, built.modalities, image_paths(built), ratio, min_images, seed)
    if single:
        print_log(
            f'{built.name} | {single} images are the only ones of their identity and modality, so they are '
            'in both parts of ImageSplit',
            logger='current',
        )
    built.get_subset_(np.flatnonzero(parts[part]).tolist())
    print_log(f'part {part} of ImageSplit | {built.summary()}', logger='current')
    return built


def divide(
    pids: np.ndarray, modalities: np.ndarray, paths: list[str], ratio: float, min_images: int, seed: int
) -> tuple[tuple[np.ndarray, np.ndarray], int]:
    """Divides images within each identity and modality.

    Args:
        pids (np.ndarray): Identity of each image, shape (N,).
        modalities (np.ndarray): Modality of each image, shape (N,).
        paths (list[str]): File of each image; the division does not depend on the order of the images.
        ratio (float): Fraction of part 0.
        min_images (int): Least images of a group in each part, if possible.
        seed (int): Seed of the division.

    Returns:
        tuple[tuple[np.ndarray, np.ndarray], int]: Whether each image is in part 0 and in part 1, each of shape (N,),
        bool; and how many are in both.

    Raises:
        ValueError: If an argument is out of range.
    """
    if not 0 < ratio < 1 or min_images < 1:
        raise ValueError(
            f'ratio={ratio} of ImageSplit must lie between 0 and 1, and min_images={min_images} be at least 1'
        )
    rng = np.random.default_rng(seed)
    # Sorted by group, and within it by a random key that depends on the file and not on its position in the list.
    keys = np.empty(len(paths))
    keys[np.argsort(np.asarray(paths), kind='stable')] = rng.random(len(paths))
    _, groups = np.unique(
        np.stack([np.asarray(modalities, dtype=str), np.asarray(pids).astype(str)]), axis=1, return_inverse=True
    )
    groups = groups.reshape(-1)
    counts = np.bincount(groups)
    least = np.clip(counts // 2, 1, min_images)
    sizes = np.clip(np.floor(counts * ratio + 0.5).astype(int), least, np.maximum(counts - least, 1))
    order = np.lexsort([keys, groups])
    place = np.empty(len(order), dtype=int)
    place[order] = np.arange(len(order)) - (np.cumsum(counts) - counts)[groups[order]]
    single = counts[groups] == 1
    first = place < sizes[groups]
    return (first, ~first | single), int(single.sum())
