# Copyright (c) mmreid contributors. All rights reserved.
"""Independent random streams, addressed by name instead of by order of use."""

from __future__ import annotations

import zlib

import numpy as np


def stream(seed: int, *key: int | str) -> np.random.Generator:
    """Make the random generator that belongs to one address.

    The same address gives the same numbers whatever was drawn before, in whichever process.

    Args:
        seed (int): Seed of the world, not negative.
        *key (int | str): The address, such as ``'image', pid, camid, index``. Words are hashed with CRC-32, which does
            not depend on ``PYTHONHASHSEED``.

    Returns:
        numpy.random.Generator: A generator of its own.

    Raises:
        ValueError: If ``seed`` or a number of the key is negative.
    """
    words = tuple(zlib.crc32(part.encode()) if isinstance(part, str) else int(part) for part in key)
    if seed < 0 or any(word < 0 for word in words):
        raise ValueError(
            f'A random stream needs a seed and keys that are not negative, but got seed={seed} and key={key}; '
            'use zero or positive numbers.'
        )
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy=seed, spawn_key=words)))


def golden(start: float, step: int) -> float:
    """Walk over [0, 1) in golden-ratio steps, so that neighbors are always far apart.

    Args:
        start (float): Where the walk starts, in [0, 1).
        step (int): Which step to return.

    Returns:
        float: A position in [0, 1).
    """
    return (start + step * 0.6180339887498949) % 1.0
