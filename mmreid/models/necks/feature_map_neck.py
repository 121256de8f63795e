# Copyright (c) mmreid contributors. All rights reserved.
"""The neck of models that compare feature maps location by location."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from torch import nn

from mmreid.models.utils.precision import full_precision
from mmreid.registry import MODELS

from .backbone_output import last_map
from .base_neck import BaseNeck


@MODELS.register_module()
class FeatureMapNeck(BaseNeck):
    """Reduces the channels of a feature map and L2-normalizes them at each location, as QAConv does.

    Args:
        in_channels (int): Channels of the backbone's last output.
        out_channels (int, optional): Channels of the map, made by a 3x3 convolution; None keeps ``in_channels``
            without a convolution. Defaults to 128.
        norm_cfg (dict, optional): Norm after the convolution, which then has no bias: ``dict(type='BN')`` in version
            1 of the official code. Defaults to None.
        init_cfg (dict, optional): Defaults to None.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int | None = 128,
        norm_cfg: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        self.in_channels = in_channels
        self.out_channels = out_channels or in_channels
        self.conv = self.norm = nn.Identity()
        if out_channels:
            self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=norm_cfg is None)
        if norm_cfg:
            self.norm = build_norm_layer(norm_cfg, self.out_channels)[1]

    def forward(self, feats: torch.Tensor | Sequence[torch.Tensor]) -> torch.Tensor:
        """Makes a map (N, out_channels, H, W), float32 even under autocast, from the backbone's last map."""
        x = last_map(feats, self.in_channels, 'FeatureMapNeck')
        x = self.norm(self.conv(x))
        with full_precision(x):
            return F.normalize(x.to(torch.promote_types(x.dtype, torch.float32)), dim=1)
