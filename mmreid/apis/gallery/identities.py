# Copyright (c) mmreid contributors. All rights reserved.
"""Answers that are identities instead of images: all images of a person or tracklet speak together."""

import math
from collections.abc import Iterator

import numpy as np
import torch

from mmreid.evaluation.functional.top_lists import top_lists

from .columns import Columns
from .exact_search import ExactSearch

BLOCK_SCORES = 2**24  # of a block of queries and all identities


class Identities:
    """The identities of N entries, numbered in the order of their first entries; one without an id is its own.

    Args:
        columns (Columns): The entries.
    """

    def __init__(self, columns: Columns) -> None:
        alone = len(columns.id_names) + np.arange(len(columns))
        codes = np.where(columns.ids >= 0, columns.ids, alone)
        _, first, numbers = np.unique(codes, return_index=True, return_inverse=True)
        self.of_entry = first.argsort().argsort()[numbers.reshape(-1)]
        self.count = len(first)
        self.places = self.of_entry.argsort(kind='stable')
        self.begins = np.searchsorted(self.of_entry[self.places], np.arange(self.count + 1))

    def members(self, identity: int) -> np.ndarray:
        """Returns the places of the entries of an identity, ascending."""
        return self.places[self.begins[identity] : self.begins[identity + 1]]


def best_identities(
    search: ExactSearch,
    identities: Identities,
    query: np.ndarray,
    topk: int,
    mean: bool,
    chosen: np.ndarray | None,
    cameras: np.ndarray,
    not_cameras: np.ndarray | None,
) -> Iterator[list[tuple[float, int, int]]]:
    """Finds the best identities of each query (Q, D), by their best entry or the mean of all.

    Yields:
        list[tuple[float, int, int]]: Of each query: score, place of the best entry, and number of entries that counted,
        best identity first. Filters are those of :meth:`ExactSearch.best`.
    """
    step = max(1, BLOCK_SCORES // identities.count)
    for start in range(0, len(query), step):
        block = slice(start, min(start + step, len(query)))
        excluded = None if not_cameras is None else not_cameras[block]
        scores = _scores(search, identities, query[block], mean, chosen, cameras, excluded)
        found, values = top_lists(scores, min(topk, identities.count))
        for row, (numbers, of_numbers) in enumerate(zip(found.tolist(), values.tolist(), strict=True)):
            answers = []
            for number, score in zip(numbers, of_numbers, strict=True):
                if number >= 0:
                    places = identities.members(number)
                    if chosen is not None:
                        places = places[chosen[places]]
                    if excluded is not None:
                        places = places[cameras[places] != excluded[row]]
                    best = places[int(search.of_places(query[start + row], places).argmax())]
                    answers.append((score, int(best), len(places)))
            yield answers


def _scores(search: ExactSearch, identities: Identities, query: np.ndarray, mean: bool, *filters) -> torch.Tensor:
    """Scores all identities, (Q, I); NaN for those without an entry that may be found."""
    shape = len(query), identities.count
    best = torch.full(shape, -math.inf, device=search.device)
    total, counts = (torch.zeros(shape, device=search.device) for _ in range(2))
    for places, scores in search.scores(query, *filters):
        index = torch.from_numpy(identities.of_entry[places.numpy()]).to(search.device).expand(len(query), -1)
        if mean:
            total.scatter_add_(1, index, scores.nan_to_num(nan=0.0))
            counts.scatter_add_(1, index, scores.isfinite().float())
        else:
            best.scatter_reduce_(1, index, scores.nan_to_num(nan=-math.inf), 'amax')
    if mean:
        return total / counts  # 0 / 0 is NaN
    return best.masked_fill_(best == -math.inf, math.nan)
