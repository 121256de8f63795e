# Copyright (c) mmreid contributors. All rights reserved.
"""Search of feature maps: pooled vectors choose a shortlist, and the matcher scores the maps on it."""

from collections.abc import Iterator, Sequence
from itertools import accumulate

import numpy as np
import torch
import torch.nn.functional as F

from mmreid.models.matchers import CosineMatcher, Matcher

from .entry_search import Allowed, EntrySearch, Found, Top
from .exact_search import ExactSearch
from .identities import Identities

SHORTLIST = 200  # entries, or identities, that the matcher scores for a query
POOL_BYTES = 2**26  # of maps that are pooled at once


class ShortlistSearch(EntrySearch):
    """Two stages: the cosine of maps averaged over their locations, then the matcher.

    What is not on the shortlist of a query is not found. Maps stay where they are, memory-mapped in half precision;
    their averages are kept in memory.

    Args:
        matcher (Matcher): Compares two maps.
        device (torch.device): Where.
    """

    def __init__(self, matcher: Matcher, device: torch.device) -> None:
        self.matcher, self.device = matcher, device
        self.pooled = ExactSearch(CosineMatcher(), device)
        self.arrays: list[np.ndarray] = []
        self.vectors: list[np.ndarray] = []

    def use(self, arrays: Sequence[np.ndarray]) -> None:
        """Averages the maps; see the base."""
        known = {id(array): vectors for array, vectors in zip(self.arrays, self.vectors, strict=True)}
        self.vectors = [known[id(a)] if id(a) in known else _pool(a) for a in arrays if len(a)]
        self.arrays = [array for array in arrays if len(array)]
        self.pooled.use(self.vectors)

    def best(self, query: np.ndarray, count: int, allowed: Allowed, first: int = 0) -> Top:
        """Finds the best entries of each query; see the base."""
        shortlists = self.pooled.best(_pool(query), max(count, SHORTLIST), allowed, first)[0].numpy()
        places, scores = torch.full((len(query), count), -1), torch.full((len(query), count), torch.nan)
        for row, shortlist in enumerate(shortlists):
            near = np.sort(shortlist[shortlist >= 0])
            if len(near):
                values = self.of_places(query[row], near)
                order = values.argsort(descending=True, stable=True)[:count]
                places[row, : len(order)], scores[row, : len(order)] = torch.from_numpy(near)[order], values[order]
        return places, scores

    @torch.no_grad()
    def of_places(self, query: np.ndarray, places: np.ndarray) -> torch.Tensor:
        """Scores a query with some entries; see the base."""
        asked = torch.from_numpy(query[None]).to(self.device)
        scores = torch.empty(len(places))
        begins = accumulate((len(array) for array in self.arrays), initial=0)
        for begin, array in zip(begins, self.arrays, strict=False):
            inside = (places >= begin) & (places < begin + len(array))
            if inside.any():
                maps = torch.from_numpy(np.ascontiguousarray(array[places[inside] - begin])).to(self.device)
                scores[torch.from_numpy(inside)] = self.matcher(asked, maps)[0].float().cpu()
        return scores

    def identities(
        self, query: np.ndarray, topk: int, identities: Identities, mean: bool, allowed: Allowed
    ) -> Iterator[list[Found]]:
        """Finds the best identities of each query; all entries of those on the shortlist are scored."""
        shortlists = self.pooled.identities(_pool(query), max(topk, SHORTLIST), identities, mean, allowed)
        for row, shortlist in enumerate(shortlists):
            answers = []
            for number in sorted(int(identities.of_entry[place]) for _, place, _ in shortlist):
                places = allowed.among(identities.members(number), row)
                scores = self.of_places(query[row], places)
                best = int(scores.argmax())
                answers.append((float(scores.mean() if mean else scores[best]), int(places[best]), len(places)))
            yield sorted(answers, key=lambda answer: -answer[0])[:topk]


def _pool(maps: np.ndarray) -> np.ndarray:
    """Averages maps (N, C, H, W) over their locations; returns vectors (N, C) of length 1, float32."""
    step = max(1, POOL_BYTES // maps[0].nbytes)
    parts = [torch.from_numpy(maps[start : start + step]) for start in range(0, len(maps), step)]
    return torch.cat([F.normalize(part.flatten(2).mean(2, dtype=torch.float32)) for part in parts]).numpy()
