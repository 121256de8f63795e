# Copyright (c) mmreid contributors. All rights reserved.
"""Precision and recall of the neighbors that are chosen in a memory."""

import torch

from mmreid.models.memories.exemplar_memory import ExemplarMemory
from mmreid.models.memories.graph_positive_prediction import GraphPositivePrediction
from mmreid.models.memories.nearest_neighbors import nearest_others

QUERIES_AT_ONCE = 128


def precision_at_equal_recall(
    scores: torch.Tensor, positive: torch.Tensor, k: int, valid: torch.Tensor | None = None
) -> tuple[float, float, float]:
    """Compares choosing by a score with choosing the k nearest, at the same number of true neighbors.

    The threshold on the score is set so that, over all queries together, as many true neighbors are found as among the
    k nearest. Candidates at the threshold are chosen, ties included.

    Args:
        scores (torch.Tensor): Scores of the candidates of each query, most similar first, shape (N, K); higher is
            better.
        positive (torch.Tensor): Which candidates have the identity of the query, shape (N, K), bool.
        k (int): Number of nearest candidates.
        valid (torch.Tensor, optional): Which candidates count, shape (N, K), bool. Defaults to all.

    Returns:
        tuple[float, float, float]: Precision with the score, precision of the k nearest, and the fraction of the
        positive candidates that these find. All NaN if the k nearest find none or a score is not finite.

    Examples:
        >>> scores = torch.tensor([[0.2, 0.9, 0.1], [0.8, 0.3, 0.1]])
        >>> positive = torch.tensor([[False, True, False], [True, False, False]])
        >>> precision_at_equal_recall(scores, positive, k=2)
        (1.0, 0.5, 1.0)
    """
    valid = torch.ones_like(positive) if valid is None else valid
    positive = positive & valid
    nearest = valid & (valid.cumsum(1) <= k)
    found = int((positive & nearest).sum())
    if not found or not scores[valid].isfinite().all():
        return float('nan'), float('nan'), float('nan')
    hits = scores[positive]
    threshold = hits.topk(found).values[-1]
    chosen = int((valid & (scores >= threshold)).sum())
    return (
        int((hits >= threshold).sum()) / chosen,
        found / int(nearest.sum()),
        found / len(hits),
    )


@torch.no_grad()
def rate_nearest(memory: ExemplarMemory, queries: torch.Tensor, labels: torch.Tensor, k: int) -> dict[str, float]:
    """Rates the nearest slots of some slots by their identities. With a sharded memory all ranks must call it.

    Args:
        memory (ExemplarMemory): A memory.
        queries (torch.Tensor): Slots whose neighbors are rated, shape (Q,), int64; slots never written do not count.
        labels (torch.Tensor): Identity of each slot, shape (S,), int64.
        k (int): Number of nearest slots, the slot itself excluded.

    Returns:
        dict[str, float]: ``knn_precision``, and ``recall`` among all other slots of the identity; in percent.
    """
    found, total = [], 0
    for own, feats in _written(memory, queries):
        near = nearest_others(memory, feats, own, min(k, memory.num_slots - 1))
        found.append((labels[near] == labels[own][:, None])[memory.rows(near).any(-1)])
        total += _count_others(labels, own)
    true = torch.cat(found) if found else torch.zeros(0)
    return _percent(knn_precision=(true.sum(), true.numel()), recall=(true.sum(), total))


@torch.no_grad()
def rate_learned(
    neighbors: GraphPositivePrediction, memory: ExemplarMemory, queries: torch.Tensor, labels: torch.Tensor, k: int
) -> dict[str, float]:
    """Compares learned neighbors of slots with the nearest. With a sharded memory all ranks must call it.

    Args:
        neighbors (GraphPositivePrediction): Predicts the neighbors.
        memory (ExemplarMemory): A memory.
        queries (torch.Tensor): See :func:`rate_nearest`.
        labels (torch.Tensor): See :func:`rate_nearest`.
        k (int): Number of nearest slots to compare with.

    Returns:
        dict[str, float]: The values of :func:`rate_nearest`; ``gpp_precision`` at a threshold on the graph's score that
        finds as many; ``chosen_precision`` and ``chosen_recall`` of the chosen slots, all in percent; and ``chosen``,
        the mean number of slots chosen for a query.
    """
    judged, total = [], 0
    for own, feats in _written(memory, queries):
        found = neighbors.judge(memory, feats, own)
        judged.append((found.logits, labels[found.slots] == labels[own][:, None], found.valid, found.chosen))
        total += _count_others(labels, own)
    if not judged:
        return {}
    scores, positive, valid, chosen = (torch.cat(part) for part in zip(*judged, strict=True))
    learned, nearest, recall = precision_at_equal_recall(scores, positive, k, valid)
    true = (chosen & positive).sum()
    rates = _percent(
        recall=(recall * (positive & valid).sum(), total),
        chosen_precision=(true, chosen.sum()),
        chosen_recall=(true, total),
    )
    if recall == recall:  # not NaN: some neighbor was found
        rates = dict(knn_precision=100 * nearest, gpp_precision=100 * learned, **rates)
    return dict(rates, chosen=float(chosen.sum() / len(chosen)))


def _written(memory: ExemplarMemory, queries: torch.Tensor):
    """Yields the queries that were ever written, some at a time, with their features."""
    for own in queries.split(QUERIES_AT_ONCE):
        feats = memory.rows(own[:, None])[:, 0]
        written = feats.any(-1)
        if written.any():
            yield own[written], feats[written]


def _count_others(labels: torch.Tensor, own: torch.Tensor) -> int:
    return int(labels.bincount()[labels[own]].sum()) - len(own)


def _percent(**fractions: tuple[float, float]) -> dict[str, float]:
    """Turns pairs (part, whole) into percent; leaves out undefined ones."""
    return {
        name: 100 * float(part) / float(whole) for name, (part, whole) in fractions.items() if whole and part == part
    }
