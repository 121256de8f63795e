# Copyright (c) mmreid contributors. All rights reserved.
"""What a gallery asks of the place where it is kept."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import torch

from mmreid.models.matchers import Matcher

from .approximate_index import IndexFacts
from .entries import GalleryAnswer, GalleryEntry, NewEntry, text_of
from .entry_filter import ALL, GalleryFilter
from .model_info import GalleryFacts

PER_ID = (None, 'best', 'mean')


class GalleryBusyError(RuntimeError):
    """Another process writes to the gallery and did not end in time."""


class GalleryDamagedError(ValueError):
    """The file of a gallery is damaged, or is something else."""


@dataclass(frozen=True)
class StoredBatch:
    """Entries with all that is kept of them.

    Attributes:
        entries (list[GalleryEntry]): The entries, B of them.
        digests (list[str | None]): Hash of the image of each; None where there was none.
        features (np.ndarray): Shape (B, ...), float32 vectors or float16 maps.
    """

    entries: list[GalleryEntry]
    digests: list[str | None]
    features: np.ndarray


@dataclass(frozen=True)
class Question:
    """A search.

    Attributes:
        features (np.ndarray): Features of the queries, shape (Q, ...), float32.
        topk (int): Most answers to each query.
        filter (GalleryFilter): Which entries may be found.
        query_cameras (Sequence[str | None] | None): The camera of each query, whose entries it must not find.
        per_id (str | None): ``'best'`` or ``'mean'`` for answers that are identities.

    Raises:
        TypeError: If the filter is none.
        ValueError: If a value is not possible.
    """

    features: np.ndarray
    topk: int
    filter: GalleryFilter = ALL
    query_cameras: Sequence[str | None] | None = None
    per_id: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.topk, bool) or not isinstance(self.topk, Integral) or self.topk < 1:
            raise ValueError(f'topk={self.topk!r:.60} must be a whole number of at least 1')
        if not isinstance(self.filter, GalleryFilter):
            raise TypeError(f'filter={self.filter!r:.60} is not a GalleryFilter; leave it out to search everything')
        if self.per_id not in PER_ID:
            raise ValueError(f"per_id={self.per_id!r:.60} is unknown; use 'best', 'mean' or None")
        if self.query_cameras is not None:
            cameras = [text_of(camera, 'query_cameras') for camera in self.query_cameras]
            object.__setattr__(self, 'query_cameras', cameras)


class GalleryStore(ABC):
    """Base of the places where galleries are kept. A method that returns has done its work for good.

    Attributes:
        place (str): The file or address, for messages.
    """

    place: str

    @abstractmethod
    def settle(self, wanted: GalleryFacts) -> GalleryFacts:
        """Writes those facts that were not known yet, and returns those that hold."""

    @abstractmethod
    def compare_by(self, matcher: Matcher, device: torch.device) -> None:
        """Says how features are compared, and where; called before :meth:`search`."""

    @abstractmethod
    def add(self, entries: Sequence[NewEntry], digests: Sequence[str | None], features: np.ndarray) -> list[int]:
        """Stores entries, all or none; one with the digest and the facts of a stored one is that one.

        Args:
            entries (Sequence[NewEntry]): What is known about the images, B of them.
            digests (Sequence[str | None]): Hash of the image of each; None where there is none.
            features (np.ndarray): Shape (B, ...).

        Returns:
            list[int]: Their keys.

        Raises:
            ValueError: If the image of one is stored already, with other facts.
        """

    @abstractmethod
    def find(self, digests: Sequence[str]) -> dict[str, GalleryEntry]:
        """Returns the entries of images that are stored already, by digest."""

    @abstractmethod
    def delete(self, chosen: GalleryFilter) -> int:
        """Deletes entries, with their vectors; returns how many."""

    @abstractmethod
    def get(self, keys: Sequence[int]) -> dict[int, GalleryEntry]:
        """Returns entries by key; those that do not exist are left out."""

    @abstractmethod
    def entries(self, chosen: GalleryFilter = ALL, size: int = 1000) -> Iterator[list[GalleryEntry]]:
        """Goes through entries in the order of their keys, up to ``size`` at a time."""

    @abstractmethod
    def batches(self, size: int = 1000) -> Iterator[StoredBatch]:
        """Goes through all that is stored, features too, in the order of keys."""

    @abstractmethod
    def count(self) -> int:
        """Returns the number of entries."""

    @abstractmethod
    def search(self, question: Question) -> list[list[GalleryAnswer]]:
        """Returns the answers to each query, best first; equal scores in the order of keys."""

    @abstractmethod
    def build_index(self, kind: str | None) -> IndexFacts | None:
        """Builds an approximate index of all entries; None removes it."""

    @abstractmethod
    def summary(self) -> dict[str, Any]:
        """Returns plain data about the content: cameras, modalities, times, sizes."""

    @abstractmethod
    def faults(self) -> Iterator[str]:
        """Examines everything that is stored; yields a sentence for each fault."""

    @abstractmethod
    def close(self) -> None:
        """Gives up files and connections."""


def joined_facts(known: GalleryFacts, wanted: GalleryFacts, count: int) -> GalleryFacts:
    """Fills in what was not known; a gallery with entries of an unknown model stays one."""
    model = known.model if known.model is not None or count else wanted.model
    return GalleryFacts(model, known.shape or wanted.shape)
