# Copyright (c) mmreid contributors. All rights reserved.
"""Seeds random streams from the seed, the epoch, the rank and the worker, and from nothing else."""

import random

import numpy as np
import torch

from mmreid.registry import FUNCTIONS


def set_epoch_seed(seed: int, epoch: int, rank: int = 0) -> int:
    """Seeds python, numpy and torch (CPU and every accelerator) for one epoch on one rank.

    ``np.random.SeedSequence`` mixes the numbers: with a sum such as ``seed + epoch``, epoch 1 of seed 0 and epoch 0 of
    seed 1 would share a stream.

    Args:
        seed (int): The seed of the run, >= 0.
        epoch (int): The 0-based epoch, or any other position in the training, >= 0.
        rank (int): The rank of this process, >= 0. Defaults to 0.

    Returns:
        int: The number that torch was seeded with, in [0, 2**63).

    Raises:
        ValueError: If a number is negative or not an integer.
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

    torch draws a new base seed from its global generator for each iterator over the DataLoader and seeds worker ``i``
    with ``base + i``. With :class:`mmreid.engine.EpochSeedHook` that base is a function of (seed, epoch, rank), so the
    streams differ between epochs, ranks and workers, and repeat when a run is repeated or resumed. MMEngine's default
    seeds with (seed, rank, worker) instead, and repeats the same augmentation in every epoch.

    With ``persistent_workers=True`` torch does not call this function after the first epoch: keep
    ``persistent_workers=False`` where a resumed run has to match.

    Args:
        worker_id (int): Index of the worker, set by torch.
        cv2_threads (int, optional): Threads that OpenCV may start in this worker; None leaves OpenCV alone. MMEngine's
            ``env_cfg.mp_cfg.opencv_num_threads`` does not reach spawned workers. Defaults to 0: no threads.
    """
    words = np.random.SeedSequence(torch.initial_seed()).generate_state(2, np.uint64)
    random.seed(int(words[0]))
    np.random.seed(int(words[1] >> np.uint64(32)))
    if cv2_threads is not None:
        import cv2

        cv2.setNumThreads(cv2_threads)
