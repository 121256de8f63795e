# Copyright (c) mmreid contributors. All rights reserved.
"""The neck of ECN: what is compared in testing is the pooled feature, what losses see is an embedding behind it."""

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import nn

from mmreid.registry import MODELS

from .backbone_output import last_output, pooled
from .bn_neck import NeckFeatures


@MODELS.register_module()
class EmbeddingNeck(BaseModule):
    """Pools a feature map, then a linear layer and a batch norm (official ECN code, ``reid/models/resnet.py``).

    Args:
        in_channels (int): Channels of the backbone's last output.
        out_channels (int): Size of the embedding. Defaults to 4096.
        pool (dict, optional): Config of a pooling of MMPretrain, for backbones that give a map. It runs in float32.
            Defaults to ``dict(type='GlobalAveragePooling')``.
        relu (bool): End with a ReLU, as the linear layers of torchreid do. Defaults to False.
        init_cfg (dict, optional): Defaults to None: He's weights for the linear layer.
    """

    only_after = ('embed', 'bn')  #: What no loss on the pooled feature reaches.

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
        """Makes both features.

        Args:
            feats (torch.Tensor | Sequence[torch.Tensor]): The backbone's output, of which the last counts: a map
                (N, C, H, W) or a vector (N, C).

        Returns:
            NeckFeatures: ``before``: the pooled feature (N, C); ``after``: linear layer and batch norm, and the ReLU if
                there is one, (N, D).
        """
        x = pooled(self.pool, last_output(feats, self.in_channels))
        return NeckFeatures(x, self.last(self.bn(self.embed(x))))
