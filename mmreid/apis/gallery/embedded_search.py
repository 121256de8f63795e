# Copyright (c) mmreid contributors. All rights reserved.
"""Searching of a gallery in a file: arrays that follow the database, exact search, and an index if there is one."""

import sqlite3
from pathlib import Path

import numpy as np
import torch

from mmreid.models.matchers import CosineMatcher, Matcher

from .approximate_index import ApproximateIndex, IndexFacts, build_index, kind_for, open_index
from .columns import Columns
from .derived_files import INDEX_FILES, remove_files
from .exact_search import ExactSearch, Top, merge
from .feature_arrays import FeatureArrays
from .identities import Identities, best_identities
from .model_info import GalleryFacts
from .store import Question

#: A filter that leaves less of an index than this part is answered exactly.
LEAST_PART = 0.1

#: Score, place of the entry, and number of entries behind it.
Found = tuple[float, int, int]


class EmbeddedSearch:
    """What a process knows of a gallery to search it.

    Args:
        place (str): The gallery, for messages.
        folder (Path): Where derived files are.
        matcher (Matcher): Compares two features.
        device (torch.device): Where to compare.
    """

    def __init__(self, place: str, folder: Path, matcher: Matcher, device: torch.device) -> None:
        self.place, self.folder = place, folder
        self.exact = ExactSearch(matcher, device)
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
        vectors = np.concatenate([self.arrays.mapped, self.arrays.newest]) if len(self.arrays.newest) else None
        cosine = isinstance(self.exact.matcher, CosineMatcher)
        self.index = build_index(
            self.arrays.mapped if vectors is None else vectors, self.columns, kind, cosine, self.exact, self.folder
        )
        return self.index.facts

    def answer(self, question: Question) -> list[list[Found]]:
        """Answers each query with the places of entries, best first."""
        chosen = self.columns.chosen(question.filter)
        excluded = self.columns.camera_codes(question.query_cameras)
        if question.per_id is not None:
            self.identities = self.identities or Identities(self.columns)
            mean = question.per_id == 'mean'
            options = (question.features, question.topk, mean, chosen, self.columns.cameras, excluded)
            return list(best_identities(self.exact, self.identities, *options))
        count = min(question.topk, len(self.columns))
        places, scores = self._best(question.features, count, chosen, excluded)
        return [
            [(score, place, 1) for place, score in zip(*row, strict=True) if place >= 0]
            for row in zip(places.tolist(), scores.tolist(), strict=True)
        ]

    def _best(self, query: np.ndarray, count: int, chosen: np.ndarray | None, not_cameras: np.ndarray | None) -> Top:
        if self.index is None:
            return self.exact.best(query, count, chosen, self.columns.cameras, not_cameras)
        if not_cameras is None:
            return self._near(query, count, chosen)
        places, scores = torch.full((len(query), count), -1), torch.full((len(query), count), torch.nan)
        for camera in np.unique(not_cameras).tolist():
            rows = not_cameras == camera
            others = self.columns.cameras != camera
            places[rows], scores[rows] = self._near(query[rows], count, others if chosen is None else others & chosen)
        return places, scores

    def _near(self, query: np.ndarray, count: int, chosen: np.ndarray | None) -> Top:
        """Finds entries by the index, those behind it exactly."""
        inside = self.index.facts.count
        part = 1.0 if chosen is None else chosen[:inside].mean()
        if part < LEAST_PART or part * inside < 10 * count:
            return self.exact.best(query, count, chosen)
        found = self.index.find(query, count, None if chosen is None else chosen[:inside])
        places, scores = map(torch.from_numpy, found)
        return merge((places, scores), self.exact.best(query, count, chosen, first=inside))
