# Copyright (c) mmreid contributors. All rights reserved.
"""Triplet loss on the scores of a matcher."""

import torch.nn.functional as F
from torch import Tensor

from mmreid.registry import MODELS

from .masked_mean import masked_mean
from .pair_loss import PairLoss


@MODELS.register_module()
class ScoreTripletLoss(PairLoss):
    """Triplet loss on scores, by default of the hardest triplets as published (Liao and Shao, CVPR 2022).

    ``max(0, margin - s_p + s_n)``, where ``s_p`` is the score of an image with another image of its identity, and
    ``s_n`` its score with an image of another identity. An image with scores that are not finite is left out.

    Args:
        margin (float): Hinge margin, in units of scores. Defaults to 16.
        mining (str): ``'hardest'``: the lowest ``s_p`` and the highest ``s_n`` of each image, averaged over images,
            with 0 for an image that has none; ``'all'``: the mean over all triplets, which does not collapse where
            all identities of a batch look alike, and takes memory for N x M x M gaps. Defaults to ``'hardest'``.
        loss_weight (float): Defaults to 1.

    Raises:
        ValueError: If the margin is negative or the mining unknown.
    """

    def __init__(self, margin: float = 16.0, mining: str = 'hardest', loss_weight: float = 1.0) -> None:
        super().__init__()
        if margin < 0:
            raise ValueError(f'margin={margin} of ScoreTripletLoss must not be negative')
        if mining not in ('hardest', 'all'):
            raise ValueError(f"mining='{mining}' of ScoreTripletLoss is unknown; use 'hardest' or 'all'")
        self.margin = margin
        self.mining = mining
        self.loss_weight = loss_weight

    def forward(self, scores: Tensor, same: Tensor, itself: Tensor) -> Tensor:
        """Computes the loss of scores (N, M); ``same`` identity and the image ``itself`` are (N, M), bool."""
        finite = finite_rows(scores)
        scores = scores.masked_fill(~finite[:, None], 0)
        if self.mining == 'all':
            losses = F.relu(self.margin - scores[:, :, None] + scores[:, None])
            counted = (same & ~itself)[:, :, None] & ~same[:, None] & finite[:, None, None]
            return self.loss_weight * masked_mean(losses, counted)
        lowest, highest = hardest_scores(scores, same, itself)
        return self.loss_weight * masked_mean(F.relu(self.margin - lowest + highest), finite)


def hardest_scores(scores: Tensor, same: Tensor, itself: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the lowest positive (else inf) and highest negative (else -inf) score of each image, (N,) each."""
    lowest = scores.masked_fill(~same | itself, float('inf')).min(1).values
    return lowest, scores.masked_fill(same, float('-inf')).max(1).values


def finite_rows(scores: Tensor) -> Tensor:
    """Returns which rows (N,) of scores (N, M) are all finite; half precision may overflow."""
    return scores.detach().isfinite().all(1)
