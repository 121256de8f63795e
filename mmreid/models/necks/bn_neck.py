# Copyright (c) mmreid contributors. All rights reserved.
"""The neck of the strong baseline: one embedding for metric losses, one for the classifier and the test."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from mmcv.cnn import build_norm_layer
from torch import nn

from mmreid.registry import MODELS

from .backbone_output import last_output, pooled
from .base_neck import BaseNeck


class NeckFeatures(NamedTuple):
    """The embeddings before and after the batch norm, each of shape (N, D)."""

    before: torch.Tensor
    after: torch.Tensor


@MODELS.register_module()
class BNNeck(BaseNeck):
    """Pools a feature map and normalizes the embedding over the batch (Luo et al., CVPRW 2019, section 3.5).

    Metric losses use the embedding before the batch norm; the classifier and the test use the one after it.

    Args:
        in_channels (int): Channels of the backbone's last output.
        pool (dict, optional): Config of an MMPretrain pooling for backbones that give a map. It runs in float32.
            Defaults to ``dict(type='GlobalAveragePooling')``.
        out_channels (int, optional): Size of the embedding, made by a linear layer; None keeps ``in_channels``.
            Defaults to None.
        with_bias (bool): Whether the batch norm learns a shift. Defaults to False.
        norm_cfg (dict, optional): Config of the batch norm, e.g. ``dict(type='mmreid.BranchBN1d')``. Defaults to
            ``dict(type='BN1d')``.
        init_cfg (dict | list[dict], optional): Initial weights. Defaults to None: He's for the linear layer, scale 1
            and shift 0 for the batch norm. The official CM-NAS code draws the scale with
            ``dict(type='Normal', layer='_BatchNorm', mean=1.0, std=0.01)``.
    """

    only_after = ('bn',)

    def __init__(
        self,
        in_channels: int,
        pool: dict | None = None,
        out_channels: int | None = None,
        with_bias: bool = False,
        norm_cfg: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        self.in_channels = in_channels
        self.out_channels = out_channels or in_channels
        self.pool = MODELS.build(pool or dict(type='mmpretrain.GlobalAveragePooling'))
        self.embed = nn.Linear(in_channels, out_channels, bias=False) if out_channels else nn.Identity()
        self.bn = build_norm_layer(norm_cfg or dict(type='BN1d'), self.out_channels)[1]
        self.bn.bias.requires_grad_(with_bias)

    def init_weights(self) -> None:
        """Initializes the linear layer (He) and the batch norm (identity), and then what ``init_cfg`` names."""
        if isinstance(self.embed, nn.Linear):
            nn.init.kaiming_normal_(self.embed.weight, mode='fan_out')
        nn.init.ones_(self.bn.weight)
        nn.init.zeros_(self.bn.bias)
        super().init_weights()

    def forward(self, feats: torch.Tensor | Sequence[torch.Tensor]) -> NeckFeatures:
        """Makes both embeddings, (N, D), from the backbone's last output, a map (N, C, H, W) or a vector (N, C)."""
        x = pooled(self.pool, last_output(feats, self.in_channels))
        before = self.embed(x)
        return NeckFeatures(before, self.bn(before))
