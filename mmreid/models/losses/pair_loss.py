# Copyright (c) mmreid contributors. All rights reserved.
"""What heads, statistics and checks ask of losses that compare images with each other."""

import torch.nn.functional as F
from torch import Tensor, nn


class PairLoss(nn.Module):
    """Base of losses on pairs: zero where no image of a batch has both a positive and a negative.

    Attributes:
        margin (float, optional): Margin in units of what is compared.
        gather (bool): Whether the batches of all ranks are compared.
        by_modality (bool): Whether it takes visible and infrared embeddings apart: ``loss(visible, infrared,
            visible_labels, infrared_labels)`` instead of ``loss(feats, labels)``.
    """

    margin: float | None = 0.0
    gather: bool = False
    by_modality: bool = False


class DistanceLoss(PairLoss):
    """Base of triplet losses on distances.

    Args:
        margin (float, optional): Hinge margin; None takes the soft margin ``log(1 + exp(gap))``.
        normalize (bool): L2-normalize the embeddings first.
        loss_weight (float): Weight of the loss.

    Attributes:
        squared (bool): Whether squared distances are compared.

    Raises:
        ValueError: If the margin is negative.
    """

    squared: bool = False

    def __init__(self, margin: float | None, normalize: bool, loss_weight: float) -> None:
        super().__init__()
        if margin is not None and margin < 0:
            raise ValueError(
                f'margin={margin} of {type(self).__name__} must not be negative; use None for the soft margin'
            )
        self.margin = margin
        self.normalize = normalize
        self.loss_weight = loss_weight

    def prepare(self, feats: Tensor) -> Tensor:
        """Makes embeddings float32, and normalizes them if asked to; shape (N, D)."""
        feats = feats.float()
        return F.normalize(feats, dim=1) if self.normalize else feats

    def hinge(self, gap: Tensor) -> Tensor:
        """Returns the loss of each gap, positive minus negative distance; any shape."""
        return F.softplus(gap) if self.margin is None else F.relu(gap + self.margin)
