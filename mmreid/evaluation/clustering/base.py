# Copyright (c) mmreid contributors. All rights reserved.
"""What ``PseudoLabelHook`` asks of a clustering."""

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
import torch


class Clustering(ABC):
    """Base of what groups training images without labels."""

    @abstractmethod
    def __call__(self, features: torch.Tensor, matcher: Callable, epoch: int) -> np.ndarray:
        """Groups images.

        Args:
            features (torch.Tensor): Features (N, ...), finite.
            matcher (Callable): What compares them.
            epoch (int): The epoch of the training, from 0.

        Returns:
            np.ndarray: The cluster of each image, 0, 1, ..., -1 for images in none; shape (N,), int64.
        """

    def state(self) -> dict[str, float]:
        """Returns what later epochs depend on, for a resumed run; by default nothing."""
        return {}

    def load_state(self, state: dict[str, float]) -> None:  # noqa: B027  nothing to restore unless `state` returns it
        """Restores what :meth:`state` returned."""
