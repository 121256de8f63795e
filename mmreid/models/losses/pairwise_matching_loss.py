# Copyright (c) mmreid contributors. All rights reserved.
"""Same or different: classifies every pair of a batch."""

import torch.nn.functional as F
from torch import Tensor

from mmreid.registry import MODELS

from .masked_mean import masked_mean
from .pair_loss import PairLoss
from .score_triplet_loss import finite_rows


@MODELS.register_module()
class PairwiseMatchingLoss(PairLoss):
    """Binary cross entropy of all pairs of a batch (Liao and Shao, "Graph Sampling", arXiv 2104.01546).

    A score is the logit of "same identity", which an image paired with itself is too. Summed over the pairs of an
    image, averaged over images; an image with scores that are not finite is left out.

    Args:
        loss_weight (float): Defaults to 1.
    """

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, scores: Tensor, same: Tensor, itself: Tensor | None = None) -> Tensor:
        """Computes the loss of scores (N, M); ``same`` identity is (N, M), bool, and ``itself`` is not used."""
        finite = finite_rows(scores)
        scores = scores.masked_fill(~finite[:, None], 0)
        losses = F.binary_cross_entropy_with_logits(scores, same.to(scores.dtype), reduction='none')
        return self.loss_weight * masked_mean(losses.sum(1), finite)
