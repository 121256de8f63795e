# Copyright (c) mmreid contributors. All rights reserved.
"""Which identities are taken for each other."""

from collections import defaultdict
from dataclasses import dataclass

import torch

from mmreid.evaluation.functional import RankingResult


@dataclass(frozen=True)
class Confusion:
    """Two identities, one of which takes places of the other.

    Attributes:
        pids (tuple[int, int]): The identities.
        share (float): Fraction of the first places of both, as many as there are matches, that the other one takes.
        count (int): Number of these places.
        query (int): A query that ranks the other identity too far ahead, the one with the highest score.
        image (int): The gallery image there.
        score (float): Their score.
    """

    pids: tuple[int, int]
    share: float
    count: int
    query: int
    image: int
    score: float


def find_confusions(ranking: RankingResult, q_pids: torch.Tensor, g_pids: torch.Tensor) -> list[Confusion]:
    """Finds pairs of identities that take each other's first places.

    A query with n matches would have these at its first n places; images of another identity there are confusions.

    Args:
        ranking (RankingResult): The result, with lists of the first images.
        q_pids (torch.Tensor): Identities of the queries, shape (Q,).
        g_pids (torch.Tensor): Identities of the gallery, shape (G,).

    Returns:
        list[Confusion]: The most confused first.
    """
    query, image, score = first_places(ranking)
    wrong = g_pids[image] != q_pids[query]
    of_pid: dict[int, int] = defaultdict(int)
    for pid, count in zip(*(part.tolist() for part in q_pids[query].unique(return_counts=True)), strict=True):
        of_pid[pid] = count
    count: dict[tuple[int, int], int] = defaultdict(int)
    best: dict[tuple[int, int], tuple[float, int, int]] = {}
    columns = (q_pids[query], g_pids[image], query, image, score)
    for own, other, at, taken, value in zip(*(column[wrong].tolist() for column in columns), strict=True):
        pair = (min(own, other), max(own, other))
        count[pair] += 1
        best[pair] = max(best.get(pair, (value, at, taken)), (value, at, taken), key=lambda entry: entry[0])
    found = []
    for pair, places in count.items():
        value, at, taken = best[pair]
        share = places / max(1, of_pid[pair[0]] + of_pid[pair[1]])
        found.append(Confusion(pair, share, places, at, taken, value))
    return sorted(found, key=lambda entry: (-entry.share, -entry.count, entry.pids))


def first_places(ranking: RankingResult) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Lists what is at the first places of each query, as many as it has matches, or as its list is long.

    Args:
        ranking (RankingResult): The result, with lists of the first images.

    Returns:
        tuple[torch.Tensor, torch.Tensor, torch.Tensor]: Query, gallery image and score of each, shape (N,).
    """
    place = torch.arange(ranking.top.shape[1])
    row, column = ((place < ranking.num_matches[:, None]) & (ranking.top >= 0)).nonzero(as_tuple=True)
    return row, ranking.top[row, column], ranking.top_scores[row, column]
