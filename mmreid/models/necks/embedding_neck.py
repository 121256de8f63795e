# Copyright (c) mmreid contributors. All rights reserved.
"""The neck of ECN: the test compares the pooled feature, and losses use an embedding of it."""

from collections.abc import Sequence

import torch
from torch import nn

from mmreid.registry import MODELS

from .backbone_output import last_output, pooled
from .base_neck import BaseNeck
from .bn_neck import NeckFeatures


@MODELS.register_module()
class EmbeddingNeck(BaseNeck):
    """Pools a feature map, then applies a linear layer and a batch norm (official ECN code, ``reid/models/resnet.py``).

    Args:
        in_channels (int): Channels of the backbone's last output.
        out_channels (int): Size of the embedding. Defaults to 4096.
        pool (dict, optional): Config of an MMPretrain pooling for backbones that give a map. It runs in float32.
            Defaults to ``dict(type='GlobalAveragePooling')``.
        relu (bool): End with a ReLU, as the linear layers of torchreid do. Defaults to False.
        init_cfg (dict, optional): Defaults to None: He's weights for the linear layer.
    """

    only_after = ('embed', 'bn')

    def __init__(
        self,
        in_channels: int,
        out_channels: int = 4096,
        pool: dict | None = None,
        relu: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.pool = MODELS.build(pool or dict(type='mmpretrain.GlobalAveragePooling'))
        self.embed = nn.Linear(in_channels, out_channels)
        self.bn = nn.BatchNorm1d(out_channels)
        self.last = nn.ReLU() if relu else nn.Identity()

    def init_weights(self) -> None:
        """Initializes the linear layer (He), and then what ``init_cfg`` names."""
        nn.init.kaiming_normal_(self.embed.weight, mode='fan_out')
        nn.init.zeros_(self.embed.bias)
        super().init_weights()

    def forward(self, feats: torch.Tensor | Sequence[torch.Tensor]) -> NeckFeatures:
        """Makes the pooled feature (N, C) and its embedding (N, D) from the backbone's last output."""
        x = pooled(self.pool, last_output(feats, self.in_channels))
        return NeckFeatures(x, self.last(self.bn(self.embed(x))))
