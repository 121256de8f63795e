# Copyright (c) mmreid contributors. All rights reserved.
"""What a gallery asks of a way of searching its features."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from .identities import Identities

#: Places of entries (Q, K), int64, -1 for none; and their scores (Q, K), float32, NaN for none.
Top = tuple[torch.Tensor, torch.Tensor]
#: Score, place of the (best) entry, and number of entries behind it.
Found = tuple[float, int, int]


@dataclass(frozen=True)
class Allowed:
    """Which of N entries a query may find.

    Attributes:
        chosen (np.ndarray | None): Entries that pass the filter, shape (N,), bool; None for all.
        cameras (np.ndarray | None): Camera of each entry, shape (N,), int64; needed with ``not_cameras``.
        not_cameras (np.ndarray | None): Camera that each query must not find, shape (Q,); None for none.
    """

    chosen: np.ndarray | None = None
    cameras: np.ndarray | None = None
    not_cameras: np.ndarray | None = None

    def of_queries(self, block: slice) -> 'Allowed':
        """Returns what holds for some of the queries."""
        cameras = None if self.not_cameras is None else self.not_cameras[block]
        return Allowed(self.chosen, self.cameras, cameras)

    def among(self, places: np.ndarray, query: int) -> np.ndarray:
        """Returns those of some places that a query may find."""
        if self.chosen is not None:
            places = places[self.chosen[places]]
        if self.not_cameras is not None:
            places = places[self.cameras[places] != self.not_cameras[query]]
        return places


class EntrySearch(ABC):
    """Base of the ways of searching."""

    @abstractmethod
    def use(self, arrays: Sequence[np.ndarray]) -> None:
        """Prepares the features of N entries, given as arrays (M, ...) in their order; those it knows stay prepared."""

    @abstractmethod
    def best(self, query: np.ndarray, count: int, allowed: Allowed, first: int = 0) -> Top:
        """Finds the best entries of each query.

        Args:
            query (np.ndarray): Features, shape (Q, ...).
            count (int): How many to find.
            allowed (Allowed): Which entries may be found.
            first (int): The first entry to look at. Defaults to 0.

        Returns:
            tuple[torch.Tensor, torch.Tensor]: Places and scores, best first; equal scores in the order of places.
        """

    @abstractmethod
    def of_places(self, query: np.ndarray, places: np.ndarray) -> torch.Tensor:
        """Scores a query (...) with some entries (M,); returns (M,), on the CPU."""

    @abstractmethod
    def identities(
        self, query: np.ndarray, topk: int, identities: Identities, mean: bool, allowed: Allowed
    ) -> Iterator[list[Found]]:
        """Finds the best identities of each query, by their best entry or by the mean of all; yields one list each."""
