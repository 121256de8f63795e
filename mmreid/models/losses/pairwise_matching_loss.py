# Copyright (c) mmreid contributors. All rights reserved.
"""Same or different: classifies every pair of a batch."""

import torch.nn.functional as F
from torch import Tensor, nn

from mmreid.registry import MODELS

from .score_triplet_loss import finite_rows


@MODELS.register_module()
class PairwiseMatchingLoss(nn.Module):
    """Binary cross entropy of all pairs of a batch (Liao and Shao, "Graph Sampling", arXiv 2104.01546).

    A score is the logit of "same identity"; an image paired with itself counts as such. The sum over the pairs of an
    image, the mean over images; an image with scores that are not finite is left out.

    Args:
        loss_weight (float): Defaults to 1.
    """

    #: Whether it is zero where no image of a batch has both another of its identity and one of another identity.
    needs_pairs = True

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, scores: Tensor, same: Tensor, itself: Tensor | None = None) -> Tensor:
        """Computes the loss.

        Args:
            scores (Tensor): Scores of N images to M, shape (N, M), float32.
            same (Tensor): Whether two images have the same identity, (N, M), bool.
            itself (Tensor, optional): Not needed here.

        Returns:
            Tensor: Scalar.
        """
        finite = finite_rows(scores)
        truth = same[finite].to(scores.dtype)
        loss = F.binary_cross_entropy_with_logits(scores[finite], truth, reduction='sum')
        return self.loss_weight * loss / max(1, len(truth))
