# Copyright (c) mmreid contributors. All rights reserved.
"""AP, INP and first match of each query, CMC and means, from the ranks of the matches."""

import math
from dataclasses import dataclass

import numpy as np
import torch

from .roc import Roc


@dataclass
class RankingResult:
    """The result of ranking a test set. All values are in [0, 1]; metrics report percent.

    Attributes:
        ap (torch.Tensor): Average precision of each query, NaN where it cannot be scored; shape (Q,), float64.
        inp (torch.Tensor): Inverse negative penalty of each query (matches / rank of the last match); likewise.
        first_match (torch.Tensor): Rank of each query's first match among the images, 1-based, 0 where it cannot be
            scored; (Q,), int64.
        num_matches (torch.Tensor): Matches of each query, shape (Q,), int64.
        places (torch.Tensor): Rank of each query's first match as the CMC of the protocol counts it, for each trial;
            1-based, 0 where it cannot be scored; shape (Q, T), int64, where T is 1 without trials. Under
            ``cmc='matches'``, T is the largest number of matches, and rows are padded with zeros.
        max_rank (int): Length of the CMC.
        top (torch.Tensor | None): Gallery indices of each query's first ``keep_top`` images, -1 where there are no
            more; shape (Q, keep_top), int64.
        top_scores (torch.Tensor | None): Their scores, NaN where there are no more; likewise.
        roc (Roc | None): The start of the ROC over all pairs of a query and an image that it may see.
    """

    ap: torch.Tensor
    inp: torch.Tensor
    first_match: torch.Tensor
    num_matches: torch.Tensor
    places: torch.Tensor
    max_rank: int
    top: torch.Tensor | None = None
    top_scores: torch.Tensor | None = None
    roc: Roc | None = None

    @property
    def valid(self) -> torch.Tensor:
        """torch.Tensor: Which queries could be scored, shape (Q,), bool."""
        return self.first_match > 0

    @property
    def num_valid(self) -> int:
        """int: Number of queries that could be scored."""
        return int(self.valid.sum())

    @property
    def cmc(self) -> torch.Tensor:
        """torch.Tensor: Fraction of scorable queries whose first match is among the first k, for k = 1..max_rank.

        Shape (max_rank,), float64, NaN if no query could be scored. Beyond the end of the gallery it is constant.
        """
        places = self.places[self.valid].clamp_max(self.max_rank + 1)
        counts = (places > 0).sum(1, keepdim=True)
        # Fractions where queries have different numbers of places; else whole numbers, which sum without rounding.
        weights = (1 / counts.double()).expand_as(places).flatten() if len(counts.unique()) > 1 else None
        hits = torch.bincount(places.flatten(), weights, self.max_rank + 2)[1 : self.max_rank + 1]
        return hits.cumsum(0).double() / (counts.sum() if weights is None else len(places))

    @property
    def mean_ap(self) -> float:
        """float: mAP over the queries that could be scored, NaN if there is none."""
        return float(self.ap[self.valid].mean())

    @property
    def mean_inp(self) -> float:
        """float: mINP (Ye et al., TPAMI 2022) over the queries that could be scored, NaN if there is none."""
        return float(self.inp[self.valid].mean())


def query_statistics(
    ranks: torch.Tensor,
    row: torch.Tensor,
    column: torch.Tensor,
    num_rows: int,
    ap_rule: str = 'precision',
    all_places: bool = False,
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Turns the ranks of all matches into the values of each query.

    Args:
        ranks (torch.Tensor): Rank of each match, in any order; shape (N,), int64.
        row (torch.Tensor): Its query, shape (N,), int64.
        column (torch.Tensor): Its gallery index, likewise.
        num_rows (int): Number of queries.
        ap_rule (str): ``'precision'`` or ``'trapezoid'``, see :class:`Protocol`. Defaults to ``'precision'``.
        all_places (bool): Whether the places are those of all matches (``cmc='matches'``) instead of the first one's.
            Defaults to False.

    Returns:
        tuple[dict[str, torch.Tensor], torch.Tensor]: Fields of the result, shape (B,) each, places (B, T); and the
        gallery index of the first match of each row, -1 where there is none.
    """
    # In NumPy: arrays are small, and starting torch's threads for them costs more than the work.
    ranks, row, column = ranks.numpy(), row.numpy(), column.numpy()
    total = np.bincount(row, minlength=num_rows)
    matched = np.repeat(np.arange(num_rows), total)
    unsorted, base = ranks, int(ranks.max(initial=0)) + 1
    ranks = np.sort(row * base + ranks) - matched * base  # by query, then by rank, in one sort of plain numbers
    start = np.cumsum(total) - total
    found = np.arange(1, len(ranks) + 1) - start[matched]
    precision = found / ranks
    if ap_rule == 'trapezoid':
        # The curve starts at precision 1; further on, the corner just ahead of the match is used.
        ahead = np.where(ranks > 1, (found - 1) / np.maximum(ranks - 1, 1), 1.0)
        precision = (precision + ahead) / 2
    valid = total > 0
    first, last = start[valid], (start + total)[valid] - 1
    ap, inp = np.full(num_rows, math.nan), np.full(num_rows, math.nan)
    first_match, best = np.zeros(num_rows, dtype=np.int64), np.full(num_rows, -1)
    ap[valid] = np.bincount(matched, weights=precision, minlength=num_rows)[valid] / total[valid]
    inp[valid] = total[valid] / ranks[last]
    first_match[valid] = ranks[first]
    is_first = unsorted == first_match[row]
    best[row[is_first]] = column[is_first]
    places = first_match[:, None]
    if all_places:
        places = np.zeros((num_rows, max(1, total.max(initial=0))), dtype=np.int64)
        places[matched, found - 1] = ranks - found + 1
    columns = dict(ap=ap, inp=inp, first_match=first_match, num_matches=total, places=places)
    return {name: torch.from_numpy(value) for name, value in columns.items()}, torch.from_numpy(best)
