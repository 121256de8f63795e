# Copyright (c) mmreid contributors. All rights reserved.
"""The images that have a pseudo label, as samplers see a data set."""

import numpy as np

from mmreid.datasets.contract import ReIDData

from .domain_view import DomainView


class PseudoLabelView(DomainView):
    """The images of a data set that have a pseudo label, which takes the place of their identity.

    Args:
        dataset (ReIDData): The data set, or the view of some of its domains.
        labels (np.ndarray): Label of each image, shape (N,); those below 0 are left out.

    Attributes:
        known (np.ndarray): Index in ``dataset`` of each image of the view, shape (M,).
        indices (np.ndarray): Its index in the whole data set.
        gt_labels (np.ndarray): Labels 0, 1, 2, ..., shape (M,).
    """

    def __init__(self, dataset: ReIDData, labels: np.ndarray) -> None:
        self.known = np.flatnonzero(labels >= 0)
        inner = isinstance(dataset, DomainView)
        self.dataset = dataset.dataset if inner else dataset
        self.indices = dataset.indices[self.known] if inner else self.known
        self.classes, self.gt_labels = np.unique(labels[self.known], return_inverse=True)
