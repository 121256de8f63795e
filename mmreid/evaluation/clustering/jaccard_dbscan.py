# Copyright (c) mmreid contributors. All rights reserved.
"""The clustering of Cluster Contrast: DBSCAN on Jaccard distances of k-reciprocal neighbors."""

from collections.abc import Callable

import numpy as np
import torch

from mmreid.registry import TASK_UTILS

from .base import Clustering
from .dbscan import check_clustering, dbscan, jaccard_distances


@TASK_UTILS.register_module()
class JaccardDBSCAN(Clustering):
    """Groups images by DBSCAN on the Jaccard distances of their k-reciprocal neighbors.

    Distances are exact, and kept only up to ``eps``, so memory grows with the number of close pairs.

    Args:
        eps (float): Largest Jaccard distance of neighbors within a cluster, between 0 and 1. Defaults to 0.6.
        min_samples (int): So many images within ``eps`` of one, itself counted, make it the core of a cluster. Defaults
            to 4.
        k1 (int): Length of the neighbor lists, the image itself counted. Defaults to 30.
        k2 (int): Over how many neighbors an encoding is averaged; 1 for no average. Defaults to 6.

    Raises:
        ModuleNotFoundError: If scikit-learn is not installed.
        ValueError: If an argument is out of range.
    """

    def __init__(self, eps: float = 0.6, min_samples: int = 4, k1: int = 30, k2: int = 6) -> None:
        check_clustering(eps, min_samples, k1, k2)
        self.eps = eps
        self.min_samples = min_samples
        self.k1 = k1
        self.k2 = k2

    def __call__(self, features: torch.Tensor, matcher: Callable, epoch: int) -> np.ndarray:
        distances = jaccard_distances(features, matcher, self.eps, self.k1, self.k2)
        return dbscan(distances, self.eps, self.min_samples)
