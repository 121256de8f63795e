# Copyright (c) mmreid contributors. All rights reserved.
"""The precision-recall curve of a ranked test set."""

import numpy as np

from mmreid.evaluation.functional import RankingResult

#: Recalls at which the precision is given.
RECALLS = np.linspace(0, 1, 101)
CHUNK = 512  # queries at a time


def precision_recall(ranking: RankingResult) -> np.ndarray:
    """Averages the precision of the queries at fixed recalls.

    The precision at a recall is the highest one at this or a higher recall, as is usual (Manning et al., Introduction
    to Information Retrieval, 2008, section 8.4).

    Args:
        ranking (RankingResult): A result under ``cmc='matches'``, whose places tell how many wrong images are ahead of
            each match.

    Returns:
        np.ndarray: Precision at ``RECALLS``, shape (101,), in [0, 1]; NaN if no query could be scored.
    """
    valid = ranking.valid.numpy()
    places, counts = ranking.places.numpy()[valid], ranking.num_matches.numpy()[valid]
    total = np.zeros(len(RECALLS))
    for start in range(0, len(places), CHUNK):
        total += _interpolated(places[start : start + CHUNK], counts[start : start + CHUNK]).sum(0)
    return total / len(places) if len(places) else np.full(len(RECALLS), np.nan)


def _interpolated(places: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Returns the precision of each query at each recall, shape (Q, 101)."""
    found = np.arange(1, places.shape[1] + 1)
    wrong_ahead = np.sort(np.where(found <= counts[:, None], places, np.iinfo(np.int64).max), axis=1) - 1
    precision = np.where(found <= counts[:, None], found / (wrong_ahead + found.astype(float)), 0.0)
    best_later = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    needed = np.maximum(1, np.ceil(RECALLS * counts[:, None] - 1e-9)).astype(int)
    return np.take_along_axis(best_later, needed - 1, axis=1)
