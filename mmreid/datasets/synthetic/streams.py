# Copyright (c) mmreid contributors. All rights reserved.
"""Independent random streams, addressed by name and not by order of use."""

from __future__ import annotations

import zlib

import numpy as np


def stream(seed: int, *key: int | str) -> np.random.Generator:
    """Makes the random generator of one address, such as ``'image', pid, camid, index``.

    The same address gives the same numbers whatever was drawn before, in whichever process: words are hashed with
    CRC-32, which does not depend on ``PYTHONHASHSEED``. Negative numbers raise a ValueError.
    """
    words = tuple(zlib.crc32(part.encode()) if isinstance(part, str) else int(part) for part in key)
    if seed < 0 or any(word < 0 for word in words):
        raise ValueError(
            f'A random stream needs a seed and keys that are not negative, but got seed={seed} and key={key}; '
            'use zero or positive numbers.'
        )
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy=seed, spawn_key=words)))


def golden(start: float, step: int) -> float:
    """Returns step ``step`` of a walk over [0, 1) in golden-ratio steps, whose neighbors are always far apart."""
    return (start + step * 0.6180339887498949) % 1.0
