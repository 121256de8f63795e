# Copyright (c) mmreid contributors. All rights reserved.
"""Random streams that depend on the seed, the epoch, the rank and the worker, and on nothing else."""

import random

import numpy as np
import torch

from mmreid.registry import FUNCTIONS


def set_epoch_seed(seed: int, epoch: int, rank: int = 0) -> int:
    """Seeds python, numpy and torch (CPU and every accelerator) for one epoch on one rank.

    The three numbers are mixed by ``np.random.SeedSequence``: sums such as ``seed + epoch`` would give epoch 1 of seed
    0 and epoch 0 of seed 1 the same stream.

    Args:
        seed (int): The seed of the run, >= 0.
        epoch (int): The 0-based epoch (or any other position in the training), >= 0.
        rank (int): The rank of this process, >= 0. Defaults to 0.

    Returns:
        int: The number that torch was seeded with, in [0, 2**63).

    Raises:
        ValueError: If a number is negative or no integer.
    """
    for name, value in (('seed', seed), ('epoch', epoch), ('rank', rank)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
            raise ValueError(f'{name} must be an integer >= 0, but got {value!r}; set randomness=dict(seed=0).')
    words = np.random.SeedSequence(int(seed), spawn_key=(int(epoch), int(rank))).generate_state(4, np.uint64)
    torch_seed = int(words[0] >> np.uint64(1))
    random.seed(int(words[1]))
    np.random.seed(int(words[2] >> np.uint64(32)))
    torch.manual_seed(torch_seed)  # seeds CUDA and the other accelerators as well
    return torch_seed


@FUNCTIONS.register_module()
def epoch_worker_init_fn(worker_id: int, cv2_threads: int | None = 0) -> None:
    """Seeds python and numpy in a DataLoader worker from torch's seed of this worker in this epoch.

    torch draws a new base seed from its global generator whenever an iterator over the DataLoader is made and seeds
    worker ``i`` with ``base + i``. With :class:`mmreid.engine.EpochSeedHook` that base is a function of (seed, epoch,
    rank), so the streams differ between epochs, ranks and workers and come back when a run is repeated or resumed.
    MMEngine's default instead seeds with (seed, rank, worker) and repeats the same augmentation every epoch.

    With ``persistent_workers=True`` torch does not start workers, and so does not call this function, after the first
    epoch: keep ``persistent_workers=False`` where a resumed run has to match.

    Args:
        worker_id (int): Index of the worker, set by torch.
        cv2_threads (int, optional): Threads that OpenCV may start in this worker. MMEngine's
            ``env_cfg.mp_cfg.opencv_num_threads`` reaches forked workers only; spawned ones would start as many threads
            as there are cores, each. None leaves OpenCV alone. Defaults to 0: no threads.

    Examples:
        >>> train_dataloader = dict(num_workers=4, worker_init_fn=dict(type='epoch_worker_init_fn'), ...)
    """
    words = np.random.SeedSequence(torch.initial_seed()).generate_state(2, np.uint64)
    random.seed(int(words[0]))
    np.random.seed(int(words[1] >> np.uint64(32)))
    if cv2_threads is not None:
        import cv2

        cv2.setNumThreads(cv2_threads)
