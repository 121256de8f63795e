# Copyright (c) mmreid contributors. All rights reserved.
"""How good chosen neighbours are."""

import torch


def precision_at_equal_recall(
    scores: torch.Tensor, positive: torch.Tensor, k: int, valid: torch.Tensor | None = None
) -> tuple[float, float, float]:
    """Compares a score with plain k-nearest, where both find the same number of true neighbours.

    The k nearest of all queries find some true neighbours. The threshold on the score is then set to find as many, over
    all queries together; what has the score of the threshold is chosen, ties included.

    Args:
        scores (torch.Tensor): Of the candidates of each query, the most similar first, shape (N, K); higher is better.
        positive (torch.Tensor): Which of them have the identity of the query, shape (N, K), bool.
        k (int): How many nearest.
        valid (torch.Tensor, optional): Which candidates count, shape (N, K), bool. Defaults to all.

    Returns:
        tuple[float, float, float]: Precision with the score, precision of the k nearest, and the share of the positive
        candidates that these find. NaN where the k nearest find none, or a score is not finite.

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
