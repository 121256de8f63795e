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

TILE_SCORES = 2**22  # of a block of queries
MAX_TILE = 2**17  # entries
FEW = 0.5  # part of a tile from which on all of it is scored

Top = tuple[torch.Tensor, torch.Tensor]


class ExactSearch:
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
        """Prepares the features of N entries, given as arrays (M, D) in their order; those it knows stay prepared."""
        known = {id(array): prepared for array, prepared in zip(self.arrays, self.prepared, strict=True)}
        self.prepared = [known[id(a)] if id(a) in known else self._prepare(a) for a in arrays if len(a)]
        self.arrays = [array for array in arrays if len(array)]

    def best(
        self,
        query: np.ndarray,
        count: int,
        chosen: np.ndarray | None = None,
        cameras: np.ndarray | None = None,
        not_cameras: np.ndarray | None = None,
        first: int = 0,
    ) -> Top:
        """Finds the best entries of each query.

        Args:
            query (np.ndarray): Shape (Q, D), float32.
            count (int): How many to find.
            chosen (np.ndarray, optional): Entries that may be found, shape (N,), bool. Defaults to None, all.
            cameras (np.ndarray, optional): Camera of each entry, shape (N,). Needed with ``not_cameras``.
            not_cameras (np.ndarray, optional): Camera that each query must not find, shape (Q,). Defaults to None.
            first (int): The first entry to look at. Defaults to 0.

        Returns:
            tuple[torch.Tensor, torch.Tensor]: Places of entries (Q, count), int64, -1 if there are fewer; and their
            scores, NaN there.
        """
        parts = []
        for block in self._query_blocks(len(query)):
            excluded = None if not_cameras is None else not_cameras[block]
            top = _empty(block.stop - block.start, count)
            for places, scores in self.scores(query[block], chosen, cameras, excluded, first):
                index, score = top_lists(scores, min(count, scores.shape[1]))
                top = merge(top, (torch.where(index < 0, index, places[index]), score))
            parts.append(top)
        return tuple(torch.cat(each) for each in zip(*parts, strict=True))

    @torch.no_grad()
    def scores(
        self,
        query: np.ndarray,
        chosen: np.ndarray | None = None,
        cameras: np.ndarray | None = None,
        not_cameras: np.ndarray | None = None,
        first: int = 0,
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Scores a block of queries, tile by tile; see :meth:`best`.

        Yields:
            tuple[torch.Tensor, torch.Tensor]: Places of entries (T,), int64, ascending, on the CPU; and their scores
            (Q, T), NaN where a query must not find one.
        """
        asked = self.matcher.prepare(torch.from_numpy(query).to(self.device))
        tile = max(1, min(MAX_TILE, TILE_SCORES // len(query)))
        begins = [0, *accumulate(len(array) for array in self.arrays)]
        for begin, array, prepared in zip(begins, self.arrays, self.prepared, strict=False):
            for start in range(max(0, first - begin), len(array), tile):
                part = slice(start, min(start + tile, len(array)))
                places = np.arange(begin + part.start, begin + part.stop)
                wanted = None if chosen is None else chosen[places]
                if wanted is not None and wanted.mean() < FEW:
                    places, wanted = places[wanted], None
                    if not len(places):
                        continue
                    part = torch.from_numpy(places - begin).to(self.device)
                scores = self.matcher.score(asked, _take(prepared, part)).float()
                if wanted is not None:
                    scores[:, torch.from_numpy(~wanted).to(self.device)] = math.nan
                if not_cameras is not None:
                    scores[torch.from_numpy(cameras[places][None] == not_cameras[:, None]).to(self.device)] = math.nan
                yield torch.from_numpy(places), scores

    @torch.no_grad()
    def of_places(self, query: np.ndarray, places: np.ndarray) -> torch.Tensor:
        """Scores a query (D,) with some entries (M,); returns (M,), on the CPU."""
        asked = self.matcher.prepare(torch.from_numpy(query[None]).to(self.device))
        scores = torch.empty(len(places))
        begins = [0, *accumulate(len(array) for array in self.arrays)]
        for begin, array, prepared in zip(begins, self.arrays, self.prepared, strict=False):
            inside = (places >= begin) & (places < begin + len(array))
            if inside.any():
                part = torch.from_numpy(places[inside] - begin).to(self.device)
                scores[torch.from_numpy(inside)] = self.matcher.score(asked, _take(prepared, part))[0].float().cpu()
        return scores

    def _prepare(self, array: np.ndarray) -> Prepared:
        return self.matcher.prepare(torch.from_numpy(array).to(self.device))

    def _query_blocks(self, count: int) -> list[slice]:
        step = self.matcher.max_rows
        return [slice(start, min(start + step, count)) for start in range(0, count, step)]


def merge(first: Top, second: Top) -> Top:
    """Merges lists (Q, K) and (Q, L) of places and scores into the K best; equal scores in the order of places.

    Places of the second are higher than those of the first.
    """
    index = torch.cat([first[0], second[0]], 1)
    score = torch.cat([first[1], second[1].to(first[1])], 1)
    order = score.nan_to_num(nan=-math.inf).argsort(dim=1, descending=True, stable=True)[:, : first[0].shape[1]]
    return index.gather(1, order), score.gather(1, order)


def _empty(rows: int, count: int) -> Top:
    return torch.full((rows, count), -1), torch.full((rows, count), math.nan)


def _take(prepared: Prepared, part: slice | torch.Tensor) -> Prepared:
    return tuple(value[part] for value in prepared) if isinstance(prepared, tuple) else prepared[part]
