# Copyright (c) mmreid contributors. All rights reserved.
"""Triplet loss on the scores of a matcher."""

import torch.nn.functional as F
from torch import Tensor, nn

from mmreid.registry import MODELS


@MODELS.register_module()
class ScoreTripletLoss(nn.Module):
    """Batch-hard triplet loss on scores (Liao and Shao, "Graph Sampling", CVPR 2022).

    ``max(0, margin - s_p + s_n)`` with the lowest score ``s_p`` of an image to another one of its identity and the
    highest score ``s_n`` to one of another identity; the mean over all images. An image without either has a loss of
    0; one with scores that are not finite is left out.

    Args:
        margin (float): Hinge margin, in units of scores. Defaults to 16.
        loss_weight (float): Defaults to 1.
    """

    def __init__(self, margin: float = 16.0, loss_weight: float = 1.0) -> None:
        super().__init__()
        if margin < 0:
            raise ValueError(f'margin={margin} of ScoreTripletLoss must not be negative')
        self.margin = margin
        self.loss_weight = loss_weight

    def forward(self, scores: Tensor, same: Tensor, itself: Tensor) -> Tensor:
        """Computes the loss.

        Args:
            scores (Tensor): Scores of N images to M, shape (N, M), float32.
            same (Tensor): Whether two images have the same identity, (N, M), bool.
            itself (Tensor): Whether two images are the same image, (N, M), bool.

        Returns:
            Tensor: Scalar.
        """
        finite = finite_rows(scores)
        lowest, highest = hardest_scores(scores[finite], same[finite], itself[finite])
        losses = F.relu(self.margin - lowest + highest)
        return self.loss_weight * losses.sum() / max(1, len(losses))


def hardest_scores(scores: Tensor, same: Tensor, itself: Tensor) -> tuple[Tensor, Tensor]:
    """Finds the hardest positive and negative of each image.

    Args:
        scores (Tensor): Shape (N, M).
        same (Tensor): Whether two images have the same identity, (N, M), bool.
        itself (Tensor): Whether two images are the same image, (N, M), bool.

    Returns:
        tuple[Tensor, Tensor]: The lowest score to another image of the identity (infinite without one) and the
        highest to one of another identity (minus infinity without one), each (N,).
    """
    lowest = scores.masked_fill(~same | itself, float('inf')).min(1).values
    return lowest, scores.masked_fill(same, float('-inf')).max(1).values


def finite_rows(scores: Tensor) -> Tensor:
    """Tells which images have finite scores only; half precision may overflow.

    Args:
        scores (Tensor): Shape (N, M).

    Returns:
        Tensor: Shape (N,), bool.
    """
    return scores.detach().isfinite().all(1)
