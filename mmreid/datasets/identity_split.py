# Copyright (c) mmreid contributors. All rights reserved.
"""Divides training identities into those that are trained on and those that are held out to judge a model by."""

import numpy as np
from mmengine.logging import print_log

from mmreid.registry import DATASETS

from .base_reid_dataset import BaseReIDDataset

PARTS = ('train', 'held_out')


@DATASETS.register_module(name='IdentitySplit')
def identity_split(dataset: dict, part: str, folds: int = 3, fold: int = 0, seed: int = 0, **kwargs) -> BaseReIDDataset:
    """Builds one of two parts of a training set, which is divided by identity.

    The identities are dealt into folds. One fold is held out: a test set, whose queries are the infrared images and
    whose gallery the visible ones if there are two modalities. The others are a training set with labels of their own.
    Identities that no query can find, because only one modality (of two) or one camera shows them, are always trained
    on. Identities of the same cameras are dealt one after the other, so all cameras are in each fold if they can be.

    Args:
        dataset (dict): Config of the training set.
        part (str): ``'train'`` or ``'held_out'``.
        folds (int): Number of folds, at least 2: a third is held out of 3. Defaults to 3.
        fold (int): The fold to hold out, from 0 on. From ``folds`` on, the identities are dealt anew. Defaults to 0.
        seed (int): Seed of the division. Defaults to 0.
        **kwargs: Further arguments of the training set, e.g. from a data set that joins several.

    Returns:
        BaseReIDDataset: The part.

    Raises:
        TypeError: If it is not a data set of mmreid.
        ValueError: If an argument is out of range, the data set is not for training, or a fold would have fewer than
            two identities.

    Examples:
        >>> train_dataloader = dict(dataset=dict(type='IdentitySplit', part='train', dataset=dict(type='RegDB', ...)))
    """
    if part not in PARTS:
        raise ValueError(f"part={part!r} of IdentitySplit is unknown; use 'train' or 'held_out'")
    built = DATASETS.build(dict(dataset, **kwargs))
    if not isinstance(built, BaseReIDDataset):
        raise TypeError(
            f'IdentitySplit divides data sets of mmreid, but got a {type(built).__name__}; give one of those'
        )
    if built.split != 'train':
        raise ValueError(f'IdentitySplit divides training sets, but got split={built.split!r}')
    built.full_init()
    held_out = np.isin(built.pids, hold_out(built.pids, built.camids, built.modalities, folds, fold, seed))
    if part == 'train':
        built.get_subset_(np.flatnonzero(~held_out).tolist())
    else:
        built.become_val_(np.flatnonzero(held_out).tolist())
    print_log(f'fold {fold} of IdentitySplit, {part} | {built.summary()}', logger='current')
    return built


def hold_out(
    pids: np.ndarray, camids: np.ndarray, modalities: np.ndarray, folds: int, fold: int, seed: int
) -> np.ndarray:
    """Chooses the identities of a fold; the same for equal arguments, whatever the order of the images.

    Args:
        pids (np.ndarray): Identity of each image, shape (N,).
        camids (np.ndarray): Camera of each image, shape (N,).
        modalities (np.ndarray): Modality of each image, shape (N,).
        folds (int): Number of folds.
        fold (int): Which fold.
        seed (int): Seed of the division.

    Returns:
        np.ndarray: The identities, sorted.

    Raises:
        ValueError: If an argument is out of range, or there are too few identities.
    """
    if folds < 2 or fold < 0:
        raise ValueError(f'folds={folds} of IdentitySplit must be at least 2, and fold={fold} at least 0')
    decisive = modalities if len(np.unique(modalities)) > 1 else camids
    seen = {pid: np.unique(camids[pids == pid]).tolist() for pid in np.unique(pids).tolist()}
    usable = [pid for pid in seen if len(np.unique(decisive[pids == pid])) > 1]
    if len(usable) < 2 * folds:
        raise ValueError(
            f'IdentitySplit with folds={folds} needs at least {2 * folds} identities that '
            f'{"both modalities" if decisive is modalities else "two cameras"} show, two for each fold, but the '
            f'training set has {len(usable)}; lower folds or take more people'
        )
    rng = np.random.default_rng([seed, fold // folds])
    usable = sorted(rng.permutation(usable).tolist(), key=seen.__getitem__)  # stable: random within the same cameras
    return np.sort(usable[fold % folds :: folds])
