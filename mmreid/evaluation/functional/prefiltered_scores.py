# Copyright (c) mmreid contributors. All rights reserved.
"""Matching in two stages: pooled features choose a shortlist for each query, and the matcher scores it."""

from collections.abc import Callable

import torch
import torch.nn.functional as F

from mmreid.models.matchers.base import Matcher, as_matcher

from .score_blocks import FeatureScores, ScoreBlocks


class PrefilteredScores(ScoreBlocks):
    """Scores of a slow matcher for a shortlist of each query; all other images rank behind it.

    The shortlist, and the order of the other images, come from the cosine similarity of the maps averaged over their
    locations. The matcher scores Q x ``topk`` pairs instead of Q x G; it cannot find a match that is not on the
    shortlist.

    Args:
        q_feats (torch.Tensor): Maps of the queries, shape (Q, C, H, W), or any (Q, C, ...).
        g_feats (torch.Tensor): Maps of the gallery, likewise.
        matcher (Matcher | Callable): The slow matcher.
        topk (int): Length of a shortlist, at most G.
        device (torch.device | str, optional): Where to match. Defaults to the device of the gallery.

    Raises:
        ValueError: If ``topk`` is below 1.
    """

    def __init__(
        self,
        q_feats: torch.Tensor,
        g_feats: torch.Tensor,
        matcher: Matcher | Callable,
        topk: int,
        device: torch.device | str | None = None,
    ) -> None:
        if topk < 1:
            raise ValueError(f'topk={topk} of a shortlist must be at least 1')
        self.device = torch.device(device) if device is not None else g_feats.device
        self.q_feats, self.g_feats, self.matcher = q_feats, g_feats, as_matcher(matcher)
        self.topk = min(topk, len(g_feats))
        self.shape = len(q_feats), len(g_feats)
        self.element_size = 8  # the pooled scores and their order
        self.max_rows = self.matcher.max_rows
        self.pooled = FeatureScores(_pool(q_feats), _pool(g_feats), _cosine, device=self.device)

    @torch.no_grad()
    def rows(self, block: slice) -> torch.Tensor:
        """Returns scores of a block of queries, (B, G)."""
        rows = self.pooled.rows(block).clone()
        shortlists = rows.topk(self.topk, sorted=False).indices
        for row, shortlist, feat in zip(rows, shortlists, self.q_feats[block], strict=True):
            chosen = self.g_feats[shortlist.to(self.g_feats.device)].to(self.device)
            exact = self.matcher(feat[None].to(self.device), chosen)[0].to(row.dtype)
            # Cosines are in [-1, 1], so this puts all of them below the exact scores, with room for rounding.
            row.add_(exact.min() - 2)
            row[shortlist] = exact
        return rows


def _pool(feats: torch.Tensor) -> torch.Tensor:
    return F.normalize(feats.flatten(2).mean(2, dtype=torch.float32) if feats.ndim > 2 else feats.float())


def _cosine(query: torch.Tensor, gallery: torch.Tensor) -> torch.Tensor:
    return query @ gallery.t()
