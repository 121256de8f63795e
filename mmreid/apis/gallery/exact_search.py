# Copyright (c) mmreid contributors. All rights reserved.
"""Exact search of vectors: the matcher scores every entry, tile by tile, in bounded memory."""

import math
from collections.abc import Iterator, Sequence
from itertools import accumulate

import numpy as np
import torch

from mmreid.evaluation.functional.top_lists import top_lists
from mmreid.models.matchers import Matcher
from mmreid.models.matchers.base import Prepared

from .entry_search import Allowed, EntrySearch, Found, Top
from .identities import Identities

TILE_SCORES = 2**22  # of a block of queries
MAX_TILE = 2**17  # entries
IDENTITY_SCORES = 2**24  # of a block of queries and all identities
FEW = 0.5  # part of a tile from which on all of it is scored


class ExactSearch(EntrySearch):
    """Scores of all entries by a matcher.

    Args:
        matcher (Matcher): Compares two features.
        device (torch.device): Where; all features are kept there.
    """

    def __init__(self, matcher: Matcher, device: torch.device) -> None:
        self.matcher, self.device = matcher, device
        self.arrays: list[np.ndarray] = []
        self.prepared: list[Prepared] = []

    @torch.no_grad()
    def use(self, arrays: Sequence[np.ndarray]) -> None:
        """Prepares features; see the base."""
        known = {id(array): prepared for array, prepared in zip(self.arrays, self.prepared, strict=True)}
        self.prepared = [known[id(a)] if id(a) in known else self._prepare(a) for a in arrays if len(a)]
        self.arrays = [array for array in arrays if len(array)]

    def best(self, query: np.ndarray, count: int, allowed: Allowed, first: int = 0) -> Top:
        """Finds the best entries of each query; see the base."""
        parts = []
        for block in _blocks(len(query), self.matcher.max_rows):
            top = _empty(block.stop - block.start, count)
            for places, scores in self._scores(query[block], allowed.of_queries(block), first):
                index, score = top_lists(scores, min(count, scores.shape[1]))
                top = merge(top, (torch.where(index < 0, index, places[index]), score))
            parts.append(top)
        return tuple(torch.cat(each) for each in zip(*parts, strict=True))

    @torch.no_grad()
    def of_places(self, query: np.ndarray, places: np.ndarray) -> torch.Tensor:
        """Scores a query with some entries; see the base."""
        asked = self._prepare(query[None])
        scores = torch.empty(len(places))
        for begin, array, prepared in self._parts():
            inside = (places >= begin) & (places < begin + len(array))
            if inside.any():
                part = torch.from_numpy(places[inside] - begin).to(self.device)
                scores[torch.from_numpy(inside)] = self.matcher.score(asked, _take(prepared, part))[0].float().cpu()
        return scores

    def identities(
        self, query: np.ndarray, topk: int, identities: Identities, mean: bool, allowed: Allowed
    ) -> Iterator[list[Found]]:
        """Finds the best identities of each query; see the base."""
        for block in _blocks(len(query), max(1, IDENTITY_SCORES // identities.count)):
            scores = self._identity_scores(query[block], identities, mean, allowed.of_queries(block))
            found, values = top_lists(scores, min(topk, identities.count))
            for row, numbers, of_numbers in zip(range(*block.indices(len(query))), found, values, strict=True):
                answers = []
                for number, score in zip(numbers.tolist(), of_numbers.tolist(), strict=True):
                    if number >= 0:
                        places = allowed.among(identities.members(number), row)
                        best = places[int(self.of_places(query[row], places).argmax())]
                        answers.append((score, int(best), len(places)))
                yield answers

    def _identity_scores(self, query: np.ndarray, identities: Identities, mean: bool, allowed: Allowed) -> torch.Tensor:
        """Scores all identities, (Q, I); NaN for those without an entry that may be found."""
        shape = len(query), identities.count
        best = torch.full(shape, -math.inf, device=self.device)
        total, counts = (torch.zeros(shape, device=self.device) for _ in range(2))
        for places, scores in self._scores(query, allowed):
            index = torch.from_numpy(identities.of_entry[places.numpy()]).to(self.device).expand(len(query), -1)
            if mean:
                total.scatter_add_(1, index, scores.nan_to_num(nan=0.0))
                counts.scatter_add_(1, index, scores.isfinite().float())
            else:
                best.scatter_reduce_(1, index, scores.nan_to_num(nan=-math.inf), 'amax')
        if mean:
            return total / counts  # 0 / 0 is NaN
        return best.masked_fill_(best == -math.inf, math.nan)

    @torch.no_grad()
    def _scores(
        self, query: np.ndarray, allowed: Allowed, first: int = 0
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Scores a block of queries tile by tile: places (T,), ascending, on the CPU; scores (Q, T), NaN if hidden."""
        asked = self._prepare(query)
        tile = max(1, min(MAX_TILE, TILE_SCORES // len(query)))
        for begin, array, prepared in self._parts():
            for start in range(max(0, first - begin), len(array), tile):
                part = slice(start, min(start + tile, len(array)))
                places = np.arange(begin + part.start, begin + part.stop)
                wanted = None if allowed.chosen is None else allowed.chosen[places]
                if wanted is not None and wanted.mean() < FEW:
                    places, wanted = places[wanted], None
                    if not len(places):
                        continue
                    part = torch.from_numpy(places - begin).to(self.device)
                scores = self.matcher.score(asked, _take(prepared, part)).float()
                if wanted is not None:
                    scores[:, torch.from_numpy(~wanted).to(self.device)] = math.nan
                if allowed.not_cameras is not None:
                    hidden = allowed.cameras[places][None] == allowed.not_cameras[:, None]
                    scores[torch.from_numpy(hidden).to(self.device)] = math.nan
                yield torch.from_numpy(places), scores

    def _parts(self) -> Iterator[tuple[int, np.ndarray, Prepared]]:
        begins = accumulate((len(array) for array in self.arrays), initial=0)
        return zip(begins, self.arrays, self.prepared, strict=False)

    @torch.no_grad()
    def _prepare(self, array: np.ndarray) -> Prepared:
        return self.matcher.prepare(torch.from_numpy(array).to(self.device))


def merge(first: Top, second: Top) -> Top:
    """Merges lists (Q, K) and (Q, L) into the K best; places of the second are higher than those of the first."""
    index = torch.cat([first[0], second[0]], 1)
    score = torch.cat([first[1], second[1].to(first[1])], 1)
    order = score.nan_to_num(nan=-math.inf).argsort(dim=1, descending=True, stable=True)[:, : first[0].shape[1]]
    return index.gather(1, order), score.gather(1, order)


def _blocks(count: int, step: int) -> list[slice]:
    return [slice(start, min(start + step, count)) for start in range(0, count, step)]


def _empty(rows: int, count: int) -> Top:
    return torch.full((rows, count), -1), torch.full((rows, count), math.nan)


def _take(prepared: Prepared, part: slice | torch.Tensor) -> Prepared:
    return tuple(value[part] for value in prepared) if isinstance(prepared, tuple) else prepared[part]
