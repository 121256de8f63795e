# Copyright (c) mmreid contributors. All rights reserved.
"""DBSCAN on sparse distances, and the Jaccard distances of features that it is given."""

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np
import torch

from mmreid.evaluation.functional.jaccard_graph import jaccard_graph
from mmreid.evaluation.functional.pair_scores import FeaturePairs
from mmreid.evaluation.functional.reranking import check_settings
from mmreid.evaluation.postprocessing.k_reciprocal import DISTANCES
from mmreid.models.matchers.base import as_matcher

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

#: The cluster of images that are like no others.
ALONE = -1


def check_clustering(eps: float, min_samples: int, k1: int, k2: int) -> None:
    """Raises ModuleNotFoundError without scikit-learn, and ValueError if a setting of the clustering is out of range.

    Args:
        eps (float): See :func:`dbscan`.
        min_samples (int): See :func:`dbscan`.
        k1 (int): See :func:`jaccard_distances`.
        k2 (int): Likewise.
    """
    try:
        import_module('sklearn.cluster')
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f'clustering needs scikit-learn, but {error.name} is not installed: run `pip install scikit-learn`, or '
            'install mmreid with its extra "cluster"',
            name=error.name,
        ) from error
    if type(min_samples) is not int or min_samples < 1:
        raise ValueError(f'min_samples={min_samples!r} must be a whole number of at least 1')
    if not 0 < eps < 1:
        raise ValueError(f'eps={eps} must be between 0 and 1')
    check_settings(k1, k2, 0, 'jaccard')


def jaccard_distances(
    features: torch.Tensor,
    matcher: Callable,
    max_distance: float,
    k1: int,
    k2: int,
    device: str | torch.device | None = None,
) -> 'csr_matrix':
    """Computes the Jaccard distances of k-reciprocal neighbors up to a limit, see :func:`jaccard_graph`.

    Args:
        features (torch.Tensor): Features (N, ...) as the matcher takes them.
        matcher (Callable): What compares them; it must say how its scores become distances.
        max_distance (float): Keep these and smaller ones, between 0 and 1.
        k1 (int): Length of the neighbor lists.
        k2 (int): Over how many neighbors an encoding is averaged.
        device (str | torch.device, optional): Where to match. Defaults to None, that of the features.

    Returns:
        scipy.sparse.csr_matrix: Shape (N, N), float32, as :func:`dbscan` takes it. An entry that is not there is a
        larger distance; an explicit 0 is a distance of 0.

    Raises:
        ValueError: If an argument is out of range, the matcher has no distances, or a score is not finite.
    """
    from scipy.sparse import csr_matrix
    from sklearn.neighbors import sort_graph_by_row_values

    matcher = as_matcher(matcher)
    if matcher.distance not in DISTANCES:
        raise ValueError(f'{matcher.name} does not say how its scores become distances, so images cannot be clustered')
    pairs = FeaturePairs([features], matcher, device)
    graph = jaccard_graph(pairs, max_distance, k1, k2, DISTANCES[matcher.distance], matcher.distance_scale)
    distances = csr_matrix((graph.value, graph.column, graph.start), (len(graph), len(graph)))
    return sort_graph_by_row_values(distances, warn_when_not_sorted=False)


def dbscan(distances: 'csr_matrix', eps: float, min_samples: int) -> np.ndarray:
    """Groups images by DBSCAN (Ester et al., KDD 1996).

    Args:
        distances (scipy.sparse.csr_matrix): See :func:`jaccard_distances`; up to ``eps`` at least.
        eps (float): Largest distance of neighbors.
        min_samples (int): So many images within ``eps`` of one, itself counted, make it the core of a cluster.

    Returns:
        np.ndarray: The cluster of each image, 0, 1, ... in the order of their first cores, -1 for those that are in
        none; shape (N,), int64.
    """
    from sklearn.cluster import DBSCAN

    # The distances were rounded to float32 after they were compared with eps.
    eps = np.nextafter(np.float32(eps), np.float32(1))
    return DBSCAN(eps=eps, min_samples=min_samples, metric='precomputed').fit(distances).labels_.astype(np.int64)
