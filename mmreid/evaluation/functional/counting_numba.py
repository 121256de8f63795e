# Copyright (c) mmreid contributors. All rights reserved.
"""Counting on the CPU, in loops that numba compiles, on as many threads as torch uses.

The functions are plain Python; :func:`run` compiles them on first use and keeps the machine code on disk. Threads are
Python's, because a second pool of OpenMP threads would compete with the one of torch.
"""

import logging
from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from mmengine.logging import print_log

from mmreid.utils.threads import share

TILE = 4096  # scores that stay in the fastest cache while they are compared with all matches
PIECE = 128  # scores that are examined one by one only if one of them is high enough
PARTS = 4  # of the rows for each thread, as one may have less of its core than another
WORTHWHILE = 2**27  # comparisons that take plain torch about as long as loading the compiled code


@lru_cache(maxsize=1)
def available() -> bool:
    """Returns whether numba can be used; it may be missing, or refuse the installed NumPy."""
    try:
        import numba  # noqa: F401
    except ImportError as error:
        print_log(f'ranking runs without compiled loops, which is slower: {error}', 'current', logging.WARNING)
        return False
    return True


def is_loaded() -> bool:
    """Returns whether compiled loops are loaded already, so that using them costs nothing more."""
    return _compiled.cache_info().currsize > 0


def run(function: Callable, rows: torch.Tensor, *arrays: Any) -> None:
    """Runs ``function(rows, *arrays, first, last)`` over all rows (B, G), on the CPU, divided over the threads."""
    compiled, matrix = _compiled(function), rows.numpy()
    arrays = tuple(value.numpy() if isinstance(value, torch.Tensor) else value for value in arrays)
    parts = 1 if torch.get_num_threads() == 1 else PARTS * torch.get_num_threads()

    def work(parts: Iterable[tuple[int, int]]) -> None:
        for first, last in parts:
            compiled(matrix, *arrays, first, last)

    share(work, list(pairwise(len(rows) * part // parts for part in range(parts + 1))))


@cache
def _compiled(function: Callable) -> Callable:
    import numba

    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # no folder to keep machine code in
        return numba.njit(nogil=True)(function)


def count_ahead(rows, starts, columns, ranks, nans, first, last):
    """Counts what ranks ahead of each match: higher scores, and equal ones before it. NaN is ahead of nothing.

    Args:
        rows (np.ndarray): Scores, shape (B, G).
        starts (np.ndarray): Where the matches of each row start in ``columns``, shape (B + 1,).
        columns (np.ndarray): Gallery indices of the matches of all rows, shape (N,).
        ranks (np.ndarray): The counts are added to it, shape (N,), int64.
        nans (np.ndarray): The number of NaN in each row is added to it, shape (B,), int64.
        first (int): First row.
        last (int): The row to stop before.
    """
    width = rows.shape[1]
    for i in range(first, last):
        for left in range(0, width, TILE):
            tile = rows[i, left : min(left + TILE, width)]
            # 32-bit counters, as wide as the scores, let the compiler use whole vector registers.
            size = np.uint32(tile.shape[0])
            count = np.uint32(0)
            for j in range(size):
                count = np.uint32(count + np.uint32(tile[j] != tile[j]))
            nans[i] += count
            for k in range(starts[i], starts[i + 1]):
                score = rows[i, columns[k]]
                before = np.uint32(min(max(columns[k] - left, 0), tile.shape[0]))
                count = np.uint32(0)
                for j in range(before):
                    count = np.uint32(count + np.uint32(tile[j] >= score))
                for j in range(before, size):
                    count = np.uint32(count + np.uint32(tile[j] > score))
                ranks[k] += count


def take_columns(rows, columns, taken, first, last):
    """Writes ``columns`` (H,) of ``rows`` (B, G) into ``taken`` (B, H), from row ``first`` to before ``last``."""
    for i in range(first, last):
        for j in range(columns.shape[0]):
            taken[i, j] = rows[i, columns[j]]


def count_ids_ahead(rows, columns, codes, num_ids, counts, first, last):
    """Counts the distinct identities with an image ahead of one image of each row.

    Args:
        rows (np.ndarray): Scores, shape (B, G).
        columns (np.ndarray): Gallery index of that image, -1 where there is none; shape (B,).
        codes (np.ndarray): Identities of the gallery, 0..num_ids - 1; shape (G,).
        num_ids (int): Their number.
        counts (np.ndarray): The counts are written here, shape (B,), int64.
        first (int): First row.
        last (int): The row to stop before.
    """
    seen = np.full(num_ids, -1, np.int64)
    for i in range(first, last):
        count = 0
        if columns[i] >= 0:
            score = rows[i, columns[i]]
            for left in range(0, rows.shape[1], PIECE):
                piece = rows[i, left : left + PIECE]
                size, near = np.uint32(piece.shape[0]), np.uint32(0)
                for j in range(size):
                    near = np.uint32(near + np.uint32(piece[j] >= score))
                if near == 0:  # true for most pieces: little is ahead of the first match
                    continue
                for j in range(left, left + size):
                    ahead = rows[i, j] > score or (rows[i, j] == score and j < columns[i])
                    if ahead and seen[codes[j]] != i:
                        seen[codes[j]] = i
                        count += 1
        counts[i] = count
