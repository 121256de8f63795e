# Copyright (c) mmreid contributors. All rights reserved.
"""Triplet loss over every triplet of a batch."""

import torch
import torch.nn.functional as F
from torch import nn

from mmreid.models.utils.distance import euclidean_distance
from mmreid.registry import MODELS


@MODELS.register_module()
class AllTripletsLoss(nn.Module):
    """Mean of the triplet loss over all triplets of a batch ("batch all", Hermans et al., arXiv 1703.07737, eq. 6).

    Where all identities of a batch look alike, as under graph sampling, the hardest triplets alone can make a network
    that is not trained yet collapse; the mean over all of them does not.

    Args:
        margin (float, optional): Hinge margin; None takes the soft margin ``log(1 + exp(d_p - d_n))``. Defaults to
            None.
        normalize (bool): L2-normalize the embeddings first. Defaults to False.
        scale (float): Factor of the distances of normalized embeddings, which are at most 2, so that the soft margin
            has hardly a slope without one; 16 is a good start. Defaults to 1.
        loss_weight (float): Defaults to 1.

    Raises:
        ValueError: If the margin is negative, or the scale is not positive or without use.
    """

    #: Whether it is zero where no image of a batch has both another of its identity and one of another identity.
    needs_pairs = True

    def __init__(
        self, margin: float | None = None, normalize: bool = False, scale: float = 1.0, loss_weight: float = 1.0
    ) -> None:
        super().__init__()
        if margin is not None and margin < 0:
            raise ValueError(f'margin={margin} of AllTripletsLoss must not be negative; use None for the soft margin')
        if not scale > 0 or (scale != 1 and not normalize):
            raise ValueError(
                f'scale={scale} of AllTripletsLoss must be above 0, and is for normalize=True only: other embeddings '
                'have a scale of their own'
            )
        self.margin = margin
        self.normalize = normalize
        self.scale = scale
        self.loss_weight = loss_weight

    def forward(self, feats: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Computes the loss.

        Args:
            feats (torch.Tensor): Embeddings, shape (N, D).
            labels (torch.Tensor): Shape (N,), int64.

        Returns:
            torch.Tensor: Scalar; 0, with a graph, if there is no triplet.
        """
        feats = feats.float()
        if self.normalize:
            feats = F.normalize(feats, dim=1)
        distance = euclidean_distance(feats, feats)
        same = labels[:, None] == labels
        positive = same.clone().fill_diagonal_(False)
        # One row for each anchor and positive: far fewer than N x N where an identity has few images.
        anchor, partner = positive.nonzero(as_tuple=True)
        negative = ~same[anchor]
        gap = self.scale * (distance[anchor, partner][:, None] - distance[anchor])
        losses = F.softplus(gap) if self.margin is None else F.relu(gap + self.margin)
        return self.loss_weight * (losses * negative).sum() / negative.sum().clamp_min(1)
