# Copyright (c) mmreid contributors. All rights reserved.
"""Divides training images into two halves that show the same identities, e.g. for an architecture search."""

import numpy as np
from mmengine.logging import print_log

from mmreid.datasets.preparation.leaks import image_paths
from mmreid.registry import DATASETS

from .base_reid_dataset import BaseReIDDataset


@DATASETS.register_module(name='ImageSplit')
def image_split(dataset: dict, part: int, ratio: float = 0.5, min_images: int = 4, seed: int = 0) -> BaseReIDDataset:
    """Builds one part of a training set that is divided by image inside each identity and modality.

    Both parts show the same identities under the same labels, so a classifier fits both. An image that is the only one
    of its identity and modality is in both parts.

    Args:
        dataset (dict): Config of the training set.
        part (int): 0 or 1.
        ratio (float): Share of the images that part 0 gets. Defaults to 0.5.
        min_images (int): Images of an identity and modality that each part keeps, where there are twice as many; with
            fewer, halves are as equal as can be. Defaults to 4, the K of usual batches.
        seed (int): Which images. Defaults to 0.

    Returns:
        BaseReIDDataset: The part.

    Raises:
        ValueError: If an argument is out of range, or the data set is not for training.

    Examples:
        >>> train_dataloader = dict(dataset=dict(type='ImageSplit', part=0, dataset=dict(type='RegDB', ...)), ...)
    """
    if part not in (0, 1):
        raise ValueError(f'part={part!r} of ImageSplit must be 0 or 1')
    built = DATASETS.build(dataset)
    if getattr(built, 'split', None) != 'train':
        raise ValueError(f'ImageSplit divides training sets, but got split={getattr(built, "split", None)!r}')
    built.full_init()
    parts, single = divide(built.pids, built.modalities, image_paths(built), ratio, min_images, seed)
    if single:
        print_log(
            f'{built.name} | {single} images are the only ones of their identity and modality; both parts of '
            'ImageSplit have them',
            logger='current',
        )
    # In place: MMEngine's get_subset copies with a memo that outlives the call and may mix data sets up.
    built.get_subset_(np.flatnonzero(parts[part]).tolist())
    print_log(f'part {part} of ImageSplit | {built.summary()}', logger='current')
    return built


def divide(
    pids: np.ndarray, modalities: np.ndarray, paths: list[str], ratio: float, min_images: int, seed: int
) -> tuple[tuple[np.ndarray, np.ndarray], int]:
    """Divides images inside each identity and modality.

    Args:
        pids (np.ndarray): Identity of each image, shape (N,).
        modalities (np.ndarray): Modality of each image, shape (N,).
        paths (list[str]): File of each image; the division does not depend on the order of the images.
        ratio (float): Share of part 0.
        min_images (int): Images that each part keeps of a group, where possible.
        seed (int): Which images.

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
    # By group, and by a random key inside it that goes with the file and not with the place in the list.
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
