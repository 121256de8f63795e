# Copyright (c) mmreid contributors. All rights reserved.
"""Triplet loss over every triplet of a batch."""

import torch

from mmreid.models.utils.distance import euclidean_distance
from mmreid.registry import MODELS

from .masked_mean import masked_mean
from .pair_loss import DistanceLoss


@MODELS.register_module()
class AllTripletsLoss(DistanceLoss):
    """Mean of the triplet loss over all triplets of a batch ("batch all", Hermans et al., arXiv 1703.07737, eq. 6).

    Where all identities of a batch look alike, as under graph sampling, the hardest triplets alone can make an
    untrained network collapse; the mean over all of them does not. It takes memory for N x N x N gaps.

    Args:
        margin (float, optional): Hinge margin; None takes the soft margin ``log(1 + exp(d_p - d_n))``. Defaults to
            None.
        normalize (bool): L2-normalize the embeddings first. Defaults to False.
        scale (float): Factor on the distances of normalized embeddings. These are at most 2, where the soft margin is
            almost flat; 16 is a good start. Defaults to 1.
        loss_weight (float): Defaults to 1.

    Raises:
        ValueError: If the margin is negative, or the scale is not positive or has no effect.
    """

    def __init__(
        self, margin: float | None = None, normalize: bool = False, scale: float = 1.0, loss_weight: float = 1.0
    ) -> None:
        super().__init__(margin, normalize, loss_weight)
        if not scale > 0 or (scale != 1 and not normalize):
            raise ValueError(
                f'scale={scale} of AllTripletsLoss must be above 0 and needs normalize=True; embeddings that are not '
                'normalized have a scale of their own'
            )
        self.scale = scale

    def forward(self, feats: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Computes the loss of embeddings (N, D) with labels (N,); 0, with a graph, if there is no triplet."""
        feats = self.prepare(feats)
        distance = euclidean_distance(feats, feats)
        same = labels[:, None] == labels
        positive = same.clone().fill_diagonal_(False)
        gap = self.scale * (distance[:, :, None] - distance[:, None])
        return self.loss_weight * masked_mean(self.hinge(gap), positive[:, :, None] & ~same[:, None])
