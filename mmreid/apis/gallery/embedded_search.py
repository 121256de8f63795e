# Copyright (c) mmreid contributors. All rights reserved.
"""Searching of a gallery in a file: arrays that follow the database, exact search, and an index if there is one."""

import sqlite3
from pathlib import Path

import numpy as np
import torch

from .approximate_index import ApproximateIndex, IndexFacts, build_index, kind_for, open_index
from .columns import Columns
from .derived_files import INDEX_FILES, remove_files
from .entry_search import Allowed, EntrySearch, Found, Top
from .exact_search import merge
from .feature_arrays import FeatureArrays
from .identities import Identities
from .model_info import GalleryFacts
from .store import Question

#: A filter that leaves less of an index than this part is answered exactly.
LEAST_PART = 0.1


class EmbeddedSearch:
    """What a process knows of a gallery to search it.

    Args:
        place (str): The gallery, for messages.
        folder (Path): Where derived files are.
        search (EntrySearch): Searches the features.
    """

    def __init__(self, place: str, folder: Path, search: EntrySearch) -> None:
        self.place, self.folder, self.exact = place, folder, search
        self.forget()

    def forget(self) -> None:
        """Forgets all entries, as after a deletion."""
        self.columns = Columns()
        self.arrays: FeatureArrays | None = None
        self.index: ApproximateIndex | None = None
        self.identities: Identities | None = None
        self.exact.use([])

    def refresh(self, connection: sqlite3.Connection, facts: GalleryFacts) -> None:
        """Reads what was added since the last time."""
        first_time = self.arrays is None
        if self.arrays is None:
            self.arrays = FeatureArrays(self.place, self.folder, facts.shape, facts.dtype)
        self.columns.read_new(connection)
        if len(self.arrays) < len(self.columns):
            self.arrays.refresh(connection, self.columns)
            self.exact.use([self.arrays.mapped, self.arrays.newest])
            self.identities = None
        if first_time:
            self.index = open_index(self.folder, self.columns)

    def build(self, kind: str | None) -> IndexFacts | None:
        """Builds an index of all entries; ``'auto'`` chooses its kind. None removes it, for exact search."""
        kind = kind_for(len(self.columns)) if kind == 'auto' else kind
        self.index = None
        remove_files(self.folder, INDEX_FILES)
        if kind is None or not len(self.columns):
            return None
        parts = [array for array in (self.arrays.mapped, self.arrays.newest) if len(array)]
        vectors = parts[0] if len(parts) == 1 else np.concatenate(parts)
        self.index = build_index(vectors, self.columns, kind, self.exact, self.folder)
        return self.index.facts

    def answer(self, question: Question) -> list[list[Found]]:
        """Answers each query with the places of entries, best first."""
        not_cameras = self.columns.camera_codes(question.query_cameras)
        allowed = Allowed(self.columns.chosen(question.filter), self.columns.cameras, not_cameras)
        if question.per_id is not None:
            self.identities = self.identities or Identities(self.columns)
            options = (question.features, question.topk, self.identities, question.per_id == 'mean', allowed)
            return list(self.exact.identities(*options))
        count = min(question.topk, len(self.columns))
        places, scores = self._best(question.features, count, allowed)
        return [
            [(score, place, 1) for place, score in zip(*row, strict=True) if place >= 0]
            for row in zip(places.tolist(), scores.tolist(), strict=True)
        ]

    def _best(self, query: np.ndarray, count: int, allowed: Allowed) -> Top:
        if self.index is None:
            return self.exact.best(query, count, allowed)
        if allowed.not_cameras is None:
            return self._near(query, count, allowed)
        places, scores = torch.full((len(query), count), -1), torch.full((len(query), count), torch.nan)
        for camera in np.unique(allowed.not_cameras).tolist():
            rows, others = allowed.not_cameras == camera, allowed.cameras != camera
            others = others if allowed.chosen is None else others & allowed.chosen
            places[rows], scores[rows] = self._near(query[rows], count, Allowed(others))
        return places, scores

    def _near(self, query: np.ndarray, count: int, allowed: Allowed) -> Top:
        """Finds entries by the index, those behind it exactly."""
        inside = self.index.facts.count
        chosen = None if allowed.chosen is None else allowed.chosen[:inside]
        part = 1.0 if chosen is None else chosen.mean()
        if part < LEAST_PART or part * inside < 10 * count:
            return self.exact.best(query, count, allowed)
        found = self.index.find(query, count, chosen)
        places, scores = map(torch.from_numpy, found)
        return merge((places, scores), self.exact.best(query, count, allowed, inside))
