# Copyright (c) mmreid contributors. All rights reserved.
"""Compares clusters with true identities."""

import numpy as np

from .self_paced_dbscan import separated


def rate_clusters(labels: np.ndarray, identities: np.ndarray) -> dict[str, float]:
    """Measures clusters; an image in no cluster counts as a cluster of its own.

    Args:
        labels (np.ndarray): Cluster of each image, -1 for none; shape (N,), int64.
        identities (np.ndarray): True identity of each image, shape (N,).

    Returns:
        dict[str, float]: In percent: ``precision``, how many pairs of images in one cluster show one person;
        ``recall``, how many pairs of images of one person are in one cluster; ``nmi``, normalized mutual information;
        ``ari``, the adjusted Rand index. Without a pair, precision or recall is left out.

    Examples:
        >>> rates = rate_clusters(np.array([0, 0, 1, 1, -1]), np.array([7, 7, 7, 8, 8]))
        >>> rates['precision'], rates['recall']
        (50.0, 25.0)
    """
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    groups, truth = separated(labels), np.unique(identities, return_inverse=True)[1]
    both = _pairs(groups * (truth.max() + 1) + truth)
    found, wanted = _pairs(groups), _pairs(truth)
    rates = dict(precision=100 * both / found) if found else {}
    if wanted:
        rates['recall'] = 100 * both / wanted
    rates['nmi'] = 100 * float(normalized_mutual_info_score(truth, groups))
    rates['ari'] = 100 * float(adjusted_rand_score(truth, groups))
    return rates


def _pairs(groups: np.ndarray) -> int:
    """Counts the pairs of images in one group."""
    counts = np.unique(groups, return_counts=True)[1]
    return int((counts * (counts - 1) // 2).sum())
