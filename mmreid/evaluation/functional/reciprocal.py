# Copyright (c) mmreid contributors. All rights reserved.
"""k-reciprocal neighbors: images that are in each other's lists of neighbors."""

from collections.abc import Iterator

import numpy as np

CHUNK = 512


def reciprocal_sets(lists: np.ndarray, length: int, half: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Finds the k-reciprocal neighbors of each image, expanded by those of similar neighbors.

    A neighbor adds its own reciprocal neighbors, from a shorter list, if more than two thirds of these are already in
    the set (Zhong et al., CVPR 2017, equation 5).

    Args:
        lists (np.ndarray): The nearest images of each of N images, itself included, nearest first; shape (N, K).
        length (int): Length of the lists.
        half (int): Length of the shorter lists.

    Yields:
        tuple[np.ndarray, np.ndarray]: For the next images, the sizes of their sets; and the sets, concatenated, each in
        ascending order.
    """
    num = len(lists)
    full, short = lists[:, :length], lists[:, :half]
    # The index num, which no image has, marks what is not reciprocal.
    own = np.concatenate([np.where(_is_mutual(full, block), full[block], num) for block in _blocks(num)])
    brought = np.concatenate([np.where(_is_mutual(short, block), short[block], num) for block in _blocks(num)])
    brought = np.concatenate([brought, np.full_like(brought[:1], num)])  # for the index num
    num_brought = (brought < num).sum(1)
    for block in _blocks(num):
        new = brought[own[block]]
        shared = (new[..., None] == own[block][:, None, None]).any(-1) & (new < num)
        enough = shared.sum(-1) > 2 / 3 * num_brought[own[block]]
        new = np.where(enough[..., None], new, num).reshape(len(new), -1)
        sets = np.sort(np.concatenate([own[block], new], 1), 1)
        keep = sets < num
        keep[:, 1:] &= sets[:, 1:] != sets[:, :-1]
        yield keep.sum(1), sets[keep]


def _is_mutual(lists: np.ndarray, block: slice) -> np.ndarray:
    """Returns which entries of the lists of some images have the image in their own list."""
    image = np.arange(len(lists))[block]
    return (lists[lists[block]] == image[:, None, None]).any(-1)


def _blocks(num: int) -> list[slice]:
    return [slice(start, min(start + CHUNK, num)) for start in range(0, num, CHUNK)]
