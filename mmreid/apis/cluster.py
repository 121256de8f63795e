# Copyright (c) mmreid contributors. All rights reserved.
"""Groups images into people without labels: DBSCAN on sparse Jaccard distances of k-reciprocal neighbors."""

import logging
from collections.abc import Callable
from importlib import import_module

import numpy as np
import torch
from mmengine.logging import print_log

from mmreid.evaluation.functional import FeaturePairs
from mmreid.evaluation.functional.jaccard_graph import jaccard_graph
from mmreid.evaluation.functional.reranking import check_settings
from mmreid.evaluation.postprocessing.k_reciprocal import DISTANCES
from mmreid.models.matchers.base import as_matcher

#: The cluster of images that are like no others.
ALONE = -1
#: With fewer images than so many lists of neighbors hold, everybody is a neighbor of everybody.
FEW_LISTS = 3


def cluster_features(
    features: torch.Tensor,
    matcher: Callable,
    *,
    eps: float = 0.5,
    min_samples: int = 2,
    k1: int = 10,
    k2: int = 3,
    device: str | torch.device | None = None,
) -> np.ndarray:
    """Groups features into clusters, the largest first.

    Args:
        features (torch.Tensor): Features (N, ...) as the matcher takes them.
        matcher (Callable): What compares them; it must say how its scores become distances.
        eps (float): Largest Jaccard distance of neighbors within a cluster, between 0 and 1. Defaults to 0.5.
        min_samples (int): So many images within ``eps`` of one, itself counted, make it the core of a cluster. Defaults
            to 2.
        k1 (int): Length of the neighbor lists. Long lists join people of few images. Defaults to 10.
        k2 (int): Over how many neighbors an encoding is averaged. Defaults to 3.
        device (str | torch.device, optional): Where to match. Defaults to None, that of the features.

    Returns:
        np.ndarray: The cluster of each image, shape (N,), int64, counted from 0; -1 for images that are like no others.

    Raises:
        ModuleNotFoundError: If scikit-learn is not installed.
        ValueError: If an argument is out of range, or the matcher has no distances.
    """
    check_clustering(eps, min_samples, k1, k2)
    from scipy.sparse import csr_matrix
    from sklearn.cluster import DBSCAN
    from sklearn.neighbors import sort_graph_by_row_values

    if len(features) < FEW_LISTS * k1:
        print_log(
            f'k1={k1} neighbors are a large part of {len(features)} images, which joins people; use a lower k1',
            'current',
            logging.WARNING,
        )
    matcher = as_matcher(matcher)
    if matcher.distance not in DISTANCES:
        raise ValueError(f'{matcher.name} does not say how its scores become distances, so images cannot be clustered')
    graph = jaccard_graph(
        FeaturePairs([features], matcher, device),
        eps,
        k1,
        k2,
        DISTANCES[matcher.distance],
        matcher.distance_scale,
    )
    distances = csr_matrix((graph.value, graph.column, graph.start), (len(graph), len(graph)))
    distances = sort_graph_by_row_values(distances, warn_when_not_sorted=False)
    # The distances were rounded to float32 after they were compared with eps.
    labels = DBSCAN(eps=np.nextafter(np.float32(eps), 1), min_samples=min_samples, metric='precomputed').fit(distances)
    return _largest_first(labels.labels_)


def check_clustering(eps: float, min_samples: int, k1: int, k2: int) -> None:
    """Raises what :func:`cluster_features` would raise, before features are extracted."""
    try:
        import_module('sklearn.cluster')
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f'clustering needs scikit-learn, but {error.name} is not installed: run `pip install scikit-learn`, or '
            'install mmreid with its extra "optional"',
            name=error.name,
        ) from error
    if type(min_samples) is not int or min_samples < 1:
        raise ValueError(f'min_samples={min_samples!r} must be a whole number of at least 1')
    if not 0 < eps < 1:
        raise ValueError(f'eps={eps} must be between 0 and 1')
    check_settings(k1, k2, 0, 'jaccard')


def _largest_first(labels: np.ndarray) -> np.ndarray:
    """Numbers clusters by their size, then by their first image."""
    clusters, first, counts = np.unique(labels[labels != ALONE], return_index=True, return_counts=True)
    order = np.lexsort((first, -counts))
    number = np.empty(len(clusters), np.int64)
    number[order] = np.arange(len(clusters))
    return np.array([ALONE if label == ALONE else number[label] for label in labels.tolist()], np.int64)
