# Copyright (c) mmreid contributors. All rights reserved.
"""Walks over items again and again in random order."""

from collections.abc import Iterator

import numpy as np


def random_passes(items: np.ndarray, size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yields groups of ``size`` different items forever; all are met before one comes again.

    Each pass has a new order. There must be at least ``size`` different items.
    """
    queue = rng.permutation(items)
    while True:
        if len(queue) < size:
            # The rest of the old pass comes first; the new pass must not repeat it within this group.
            fresh = rng.permutation(items)
            again = np.isin(fresh, queue)
            queue = np.concatenate([queue, fresh[~again], fresh[again]])
        yield queue[:size]
        queue = queue[size:]
