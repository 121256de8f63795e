# Copyright (c) mmreid contributors. All rights reserved.
"""What PseudoLabelHook asks of a sampler that follows pseudo labels."""

from abc import ABC, abstractmethod

import numpy as np


class PseudoLabelSampler(ABC):
    """Base of batch samplers whose identities ``PseudoLabelHook`` may replace by pseudo labels.

    Attributes:
        dataset (ReIDData): The training set, or the :class:`DomainView` of a part of each batch.
    """

    @property
    @abstractmethod
    def dataset(self):
        """ReIDData: The images that it draws from."""

    @abstractmethod
    def set_labels(self, labels: np.ndarray) -> None:
        """Sets the identities, from the next epoch on.

        Args:
            labels (np.ndarray): Label of each image of :attr:`dataset`, shape (N,), int64; those below 0 are left out.

        Raises:
            ValueError: If no batch can be made of them.
        """
