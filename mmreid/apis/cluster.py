# Copyright (c) mmreid contributors. All rights reserved.
"""Groups images into people without labels: DBSCAN on sparse Jaccard distances of k-reciprocal neighbors."""

import logging
from collections.abc import Callable

import numpy as np
import torch
from mmengine.logging import print_log

from mmreid.evaluation.clustering.dbscan import ALONE, check_clustering, dbscan, jaccard_distances

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
    if len(features) < FEW_LISTS * k1:
        print_log(
            f'k1={k1} neighbors are a large part of {len(features)} images, which joins people; use a lower k1',
            'current',
            logging.WARNING,
        )
    distances = jaccard_distances(features, matcher, eps, k1, k2, device)
    return _largest_first(dbscan(distances, eps, min_samples))


def _largest_first(labels: np.ndarray) -> np.ndarray:
    """Numbers clusters by their size, then by their first image."""
    clusters, first, counts = np.unique(labels[labels != ALONE], return_index=True, return_counts=True)
    order = np.lexsort((first, -counts))
    number = np.empty(len(clusters), np.int64)
    number[order] = np.arange(len(clusters))
    return np.array([ALONE if label == ALONE else number[label] for label in labels.tolist()], np.int64)
