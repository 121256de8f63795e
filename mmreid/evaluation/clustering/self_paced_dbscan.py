# Copyright (c) mmreid contributors. All rights reserved.
"""The clustering of SpCL: clusters that hardly change when DBSCAN is a little stricter or looser."""

from collections.abc import Callable

import numpy as np
import torch

from mmreid.registry import TASK_UTILS

from .dbscan import ALONE, check_clustering, dbscan, jaccard_distances
from .jaccard_dbscan import JaccardDBSCAN


@TASK_UTILS.register_module()
class SelfPacedDBSCAN(JaccardDBSCAN):
    """Keeps the reliable part of the clusters of :class:`JaccardDBSCAN` (Ge et al., SpCL, NeurIPS 2020, section 3.3).

    DBSCAN runs three times, at ``eps - eps_gap`` (tight), ``eps`` and ``eps + eps_gap`` (loose). A cluster is reliable
    if the loose one hardly adds to it (independence); of such a cluster, the images stay that lose least under the
    tight one (compactness). All others are in no cluster.

    Args:
        eps_gap (float): See above. Defaults to 0.02.
        keep_fraction (float): Fraction of the clusters, the most independent ones, that the threshold on independence
            keeps. Defaults to 0.9.
        fixed_threshold (bool): Whether the threshold of the first clustering stays for the whole run, as in the
            official code, instead of a new one every time. Defaults to True.
        **kwargs: See :class:`JaccardDBSCAN`.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self, eps_gap: float = 0.02, keep_fraction: float = 0.9, fixed_threshold: bool = True, **kwargs
    ) -> None:
        super().__init__(**kwargs)
        if not 0 < keep_fraction <= 1:
            raise ValueError(f'keep_fraction={keep_fraction} of SelfPacedDBSCAN must be above 0 and at most 1')
        if not 0 < eps_gap < min(self.eps, 1 - self.eps):
            raise ValueError(
                f'eps_gap={eps_gap} of SelfPacedDBSCAN must be above 0, and eps={self.eps} minus and plus it between '
                '0 and 1'
            )
        self.eps_gap = eps_gap
        self.keep_fraction = keep_fraction
        self.fixed_threshold = fixed_threshold
        self.threshold: float | None = None

    def __call__(self, features: torch.Tensor, matcher: Callable, epoch: int) -> np.ndarray:
        loosest = self.eps + self.eps_gap
        check_clustering(loosest, self.min_samples, self.k1, self.k2)
        distances = jaccard_distances(features, matcher, loosest, self.k1, self.k2)
        found = [dbscan(distances, eps, self.min_samples) for eps in (self.eps, self.eps - self.eps_gap, loosest)]
        return self.reliable(*found)

    def reliable(self, labels: np.ndarray, tight: np.ndarray, loose: np.ndarray) -> np.ndarray:
        """Takes unreliable images out of their clusters; all arguments (N,), -1 for images in none.

        The first call sets :attr:`threshold`, and each call does unless ``fixed_threshold``.
        """
        groups, tight, loose = (separated(part) for part in (labels, tight, loose))
        compactness, independence = differences(groups, tight), differences(groups, loose)
        best_compact, best_independent = lowest_of_group(compactness, groups), lowest_of_group(independence, groups)
        if self.threshold is None or not self.fixed_threshold:
            clusters = np.sort(best_independent[np.bincount(groups) > 1])
            place = min(len(clusters) - 1, round(self.keep_fraction * len(clusters)))
            self.threshold = float(clusters[place]) if len(clusters) else 0.0
        kept = (best_independent[groups] <= self.threshold) & (compactness <= best_compact[groups])
        return np.where(kept, labels, ALONE)

    def state(self) -> dict[str, float]:
        """Returns the threshold, once there is one."""
        return {} if self.threshold is None else dict(threshold=self.threshold)

    def load_state(self, state: dict[str, float]) -> None:
        """Restores the threshold."""
        if 'threshold' in state:
            self.threshold = float(state['threshold'])


def separated(labels: np.ndarray) -> np.ndarray:
    """Makes a group of its own of each image that is in no cluster, (N,)."""
    alone = labels == ALONE
    groups = labels.copy()
    groups[alone] = labels.max(initial=-1) + 1 + np.arange(alone.sum())
    return groups


def differences(groups: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Returns 1 minus the intersection over union of the two groups of each image, (N,), float32."""
    _, pair, shared = np.unique(groups * (others.max() + 1) + others, return_inverse=True, return_counts=True)
    shared = shared[pair]
    union = np.bincount(groups)[groups] + np.bincount(others)[others] - shared
    return 1 - shared.astype(np.float32) / union.astype(np.float32)


def lowest_of_group(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Returns the lowest value (N,) of each group (G,)."""
    lowest = np.full(groups.max() + 1, np.inf, values.dtype)
    np.minimum.at(lowest, groups, values)
    return lowest
