# Copyright (c) mmreid contributors. All rights reserved.
"""Pulls embeddings toward the center of their identity."""

import torch
from torch import Tensor, nn

from mmreid.registry import MODELS


@MODELS.register_module()
class CenterLoss(nn.Module):
    """Squared distance to a learned center per identity, averaged over images (Wen et al., ECCV 2016).

    Use it together with other losses: alone, it may collapse all embeddings into one point.

    The centers are parameters that follow their identities with a gradient of their own, which does not depend on
    ``loss_weight`` (as in the strong baseline of Luo et al., CVPRW 2019, where an SGD with learning rate 0.5 moves
    them). They need another learning rate than the network, and no weight decay. With SGD and ``lr=0.05``, the
    published 0.5 is::

        optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'centers': dict(lr_mult=10.0, decay_mult=0.0)}))

    Adam's steps are about as long as its learning rate, however small the gradient, so the centers would never settle
    with 0.5; with Adam and ``lr=3.5e-4``, ``lr_mult=100.0`` makes them follow about as fast as SGD does with 0.5.

    Args:
        num_classes (int): Number of training identities; ``ReIDHead`` fills it in.
        channels (int): Size of the embedding; ``ReIDHead`` fills it in.
        loss_weight (float): Defaults to 5e-4, as in the strong baseline.

    Attributes:
        centers (nn.Parameter): Shape (num_classes, channels), drawn from a normal distribution.
    """

    def __init__(self, num_classes: int, channels: int, loss_weight: float = 5e-4) -> None:
        super().__init__()
        self.centers = nn.Parameter(torch.randn(num_classes, channels))
        self.loss_weight = loss_weight

    def forward(self, feats: Tensor, labels: Tensor) -> Tensor:
        """Computes the loss of embeddings (N, channels) with labels (N,); a scalar."""
        if feats.shape[1] != self.centers.shape[1]:
            raise ValueError(
                f'CenterLoss has centers of size {self.centers.shape[1]}, but the embeddings that it sees have '
                f"{feats.shape[1]}; set channels={feats.shape[1]} in its config, or metric_feat='after' of the head"
            )
        feats, own = feats.float(), self.centers.float()[labels]
        drawn = (feats - own.detach()).square().sum(1).mean()
        following = (feats.detach() - own).square().sum(1).mean()
        return self.loss_weight * drawn + (following - following.detach())
