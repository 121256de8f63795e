# Copyright (c) mmreid contributors. All rights reserved.
"""What GraphSamplingHook asks of a sampler that draws batches from a graph of identities."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np


class GraphSampler(ABC):
    """Base of samplers whose batches follow a table of nearest identities, which ``GraphSamplingHook`` builds.

    Attributes:
        dataset (BaseReIDDataset | DomainView): The training set.
        classes (np.ndarray): Labels of the identities, shape (C,).
        num_neighbors (int): Neighbors that the sampler needs of each identity.
        neighbors (np.ndarray | None): Positions in :attr:`classes` of the nearest ones of each, nearest first, shape
            (C, num_neighbors), int64; None before the first graph.
        warmup (int): First epochs, which need no graph.
    """

    dataset: Any
    classes: np.ndarray
    num_neighbors: int = 0
    neighbors: np.ndarray | None = None
    warmup: int = 0

    @abstractmethod
    def set_neighbors(self, neighbors: np.ndarray) -> None:
        """Sets the graph that batches are drawn from, from the next epoch on.

        Args:
            neighbors (np.ndarray): See :attr:`neighbors`.
        """

    def representatives(self) -> np.ndarray | None:
        """Chooses the images that stand for the identities in the next graph.

        Returns:
            np.ndarray or None: Indices into the data set, shape (C,); None leaves the choice to the hook.
        """
        return None

    def state(self) -> dict[str, list] | None:
        """Returns what a resumed run needs to draw the same batches; None if epoch and graph are enough."""
        return None

    def load_state(self, state: Any) -> None:  # noqa: B027  nothing to restore unless `state` returns something
        """Restores what :meth:`state` returned.

        Args:
            state (dict[str, list]): The state, as read from a checkpoint.
        """
