# Copyright (c) mmreid contributors. All rights reserved.
"""Query expansion: a feature becomes a weighted mean of its nearest neighbors, itself included."""

import torch
import torch.nn.functional as F

from mmreid.models.matchers import CosineMatcher

from .nearest import MEMORY, nearest_in_gallery, nearest_of_all
from .pair_scores import FeaturePairs
from .score_blocks import FeatureScores

SIDES = ('both', 'query')


@torch.no_grad()
def expand_queries(
    q_feats: torch.Tensor,
    g_feats: torch.Tensor,
    k: int = 10,
    alpha: float = 3.0,
    times: int = 1,
    sides: str = 'both',
    device: torch.device | str | None = None,
    memory: int = MEMORY,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Expands queries by their neighbors (alpha-QE, Radenovic et al., TPAMI 2019; AQE, Chum et al., ICCV 2007).

    Each feature becomes the mean of its ``k`` nearest ones by cosine similarity, each weighted by this similarity to
    the power ``alpha``. A neighbor of negative similarity has weight 0, unless ``alpha`` is 0.

    Args:
        q_feats (torch.Tensor): Features of the queries, shape (Q, D).
        g_feats (torch.Tensor): Features of the gallery, shape (G, D).
        k (int): How many neighbors, with the image itself; at most all images. Defaults to 10.
        alpha (float): Exponent of the similarity; 0 gives AQE, where all weights are equal. Defaults to 3.
        times (int): How often to repeat this, each time with the new features. Defaults to 1.
        sides (str): ``'both'``: queries and gallery are expanded, by neighbors among both, as fast-reid does.
            ``'query'``: only queries are, by themselves and ``k - 1`` gallery images, without other queries.
            Defaults to ``'both'``.
        device (torch.device | str, optional): Where to match. Defaults to the device of the gallery.
        memory (int): Most bytes of scores at a time. Defaults to 128 MiB.

    Returns:
        tuple[torch.Tensor, torch.Tensor]: New features of queries and gallery on their devices, at least float32, not
        normalized.

    Raises:
        ValueError: If features are not vectors, NaN or infinite, or an argument is out of range.
    """
    if q_feats.ndim != 2 or g_feats.ndim != 2:
        raise ValueError(
            f'query expansion needs one vector per image, but features have shapes {tuple(q_feats.shape)} and '
            f'{tuple(g_feats.shape)}'
        )
    check_settings(k, alpha, times, sides)
    wide = torch.float64 if torch.float64 in (q_feats.dtype, g_feats.dtype) else torch.float32
    q_feats, g_feats = q_feats.to(wide), g_feats.to(wide)
    expand = _expand_both if sides == 'both' else _expand_query
    for _ in range(times):
        q_feats, g_feats = expand(q_feats, g_feats, k, alpha, device, memory)
    return q_feats, g_feats


def check_settings(k: int, alpha: float, times: int, sides: str) -> None:
    """Raises ValueError if a setting of :func:`expand_queries` is out of range."""
    if k < 1 or times < 1 or alpha < 0:
        raise ValueError(f'k={k} and times={times} of query expansion must be at least 1, alpha={alpha} at least 0')
    if sides not in SIDES:
        raise ValueError(f'sides={sides!r} of query expansion is unknown; use one of {", ".join(map(repr, SIDES))}')


def _expand_both(q_feats, g_feats, k, alpha, device, memory) -> tuple[torch.Tensor, torch.Tensor]:
    near = nearest_of_all(FeaturePairs([q_feats, g_feats], CosineMatcher(), device), k, memory)
    feats = torch.cat([q_feats, g_feats.to(q_feats.device)])
    new = _weighted_mean(near.index, near.score, alpha, feats)
    return new[: len(q_feats)], new[len(q_feats) :].to(g_feats.device)


def _expand_query(q_feats, g_feats, k, alpha, device, memory) -> tuple[torch.Tensor, torch.Tensor]:
    if k == 1:
        return q_feats, g_feats
    scores = FeatureScores(q_feats, g_feats, CosineMatcher(), device)
    near = nearest_in_gallery(scores, len(q_feats), len(g_feats), k - 1, memory)
    count = near.index.shape[1] + 1
    # The similarity of the query to itself is 1, and so is its weight.
    neighbors = _weighted_mean(near.index, near.score, alpha, g_feats).to(q_feats.device)
    return (neighbors * (count - 1) + q_feats) / count, g_feats


def _weighted_mean(index: torch.Tensor, similarity: torch.Tensor, alpha: float, feats: torch.Tensor) -> torch.Tensor:
    """Averages the features listed for each image (N, K), weighted by their similarity."""
    weights = similarity.clamp_min(0).pow(alpha) if alpha else torch.ones_like(similarity)
    index, weights = index.to(feats.device), (weights / index.shape[1]).to(feats)
    return F.embedding_bag(index, feats, mode='sum', per_sample_weights=weights)
