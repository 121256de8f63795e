# Copyright (c) mmreid contributors. All rights reserved.
"""Jaccard distances of images by their k-reciprocal neighbors, only the small ones, for clustering."""

from collections.abc import Callable

import numpy as np
import torch

from mmreid.utils.progress import track

from .pair_scores import PairScores
from .reranking import check_settings, encode
from .sparse_rows import SparseRows

CHUNK = 256


@torch.no_grad()
def jaccard_graph(
    pairs: PairScores,
    max_distance: float,
    k1: int = 20,
    k2: int = 6,
    to_distance: Callable[[torch.Tensor], torch.Tensor] = torch.neg,
    weight_scale: float = 1.0,
) -> SparseRows:
    """Computes the Jaccard distances up to a limit, as :func:`rerank` with ``'jaccard'`` and ``lambda_value=0`` does.

    Args:
        pairs (PairScores): Scores of any two of N images.
        max_distance (float): Keep these and smaller ones; in [0, 1), as images without a common neighbor have 1.
        k1 (int): See :func:`rerank`. Defaults to 20.
        k2 (int): Likewise. Defaults to 6.
        to_distance (Callable): Likewise. Defaults to negation.
        weight_scale (float): Likewise. Defaults to 1.

    Returns:
        SparseRows: N rows of N columns: the distances, of an image to itself (0) included.

    Raises:
        ValueError: If an argument is out of range, or a score is NaN.
    """
    check_settings(k1, k2, 0, 'jaccard')
    if not 0 <= max_distance < 1:
        raise ValueError(f'max_distance={max_distance} of Jaccard distances must be at least 0 and below 1')
    encodings, _ = encode(pairs, k1, k2, 'jaccard', to_distance, weight_scale)
    num = len(encodings)
    by_column = encodings.transposed(num)
    counts, columns, values = [], [], []
    starts = range(0, num, CHUNK)
    for image in (i for start in track(starts, 'comparing') for i in range(start, min(start + CHUNK, num))):
        column, weight = encodings.row(image)
        places, repeats = by_column.places(column)
        # Two encodings share the lower of their weights; the weights of each sum to 1.
        lower = np.minimum(np.repeat(weight, repeats), by_column.value[places])
        shared = np.bincount(by_column.column[places], lower, num)
        distances = (1 - shared / (2 - shared)).clip(0)
        distances[image] = 0
        near = np.flatnonzero(distances <= max_distance)
        counts.append(len(near))
        columns.append(near)
        values.append(distances[near])
    return SparseRows.of(np.array(counts), np.concatenate(columns), np.concatenate(values))
