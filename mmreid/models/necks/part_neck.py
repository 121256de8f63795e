# Copyright (c) mmreid contributors. All rights reserved.
"""The neck of part-based models: one embedding for each horizontal stripe of a person."""

from collections.abc import Sequence

import torch
from torch import nn

from mmreid.registry import MODELS

from .backbone_output import last_map, pooled
from .base_neck import BaseNeck
from .bn_neck import NeckFeatures


@MODELS.register_module()
class PartNeck(BaseNeck):
    """Cuts a map into horizontal stripes, pools and reduces each (PCB: Sun et al., ECCV 2018, section 3.1).

    Each stripe has its own linear layer, and each of its channels its own batch norm. The embeddings of the stripes are
    concatenated, top first: the test compares all of them as one vector, which ``CosineMatcher`` normalizes as a whole.
    After the batch norm the parts have about the same length, so that each weighs about the same. ``PartHead`` gives
    each part its own losses; ``ReIDHead`` takes the whole as one embedding.

    Args:
        in_channels (int): Channels of the backbone's last output.
        out_channels (int): Size of a part's embedding. Defaults to 256.
        num_parts (int): Number of stripes. They are equally high if it divides the height of the map; otherwise the
            upper ones are a row higher. Defaults to 6.
        pool (dict, optional): Config of an MMPretrain pooling. It runs in float32. Defaults to
            ``dict(type='GlobalAveragePooling')``.
        with_bias (bool): Whether the batch norm learns a shift. Defaults to False.
        init_cfg (dict | list[dict], optional): Defaults to None: He's weights for the linear layers.
    """

    only_after = ('bn',)

    def __init__(
        self,
        in_channels: int,
        out_channels: int = 256,
        num_parts: int = 6,
        pool: dict | None = None,
        with_bias: bool = False,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if num_parts < 1:
            raise ValueError(f'num_parts={num_parts} of PartNeck; it needs at least one part')
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.num_parts = num_parts
        self.pool = MODELS.build(pool or dict(type='mmpretrain.GlobalAveragePooling'))
        self.embed = nn.ModuleList(nn.Linear(in_channels, out_channels, bias=False) for _ in range(num_parts))
        self.bn = nn.BatchNorm1d(num_parts * out_channels)
        self.bn.bias.requires_grad_(with_bias)

    def init_weights(self) -> None:
        """Initializes the linear layers (He) and the batch norm (identity), and then what ``init_cfg`` names."""
        for embed in self.embed:
            nn.init.kaiming_normal_(embed.weight, mode='fan_out')
        nn.init.ones_(self.bn.weight)
        nn.init.zeros_(self.bn.bias)
        super().init_weights()

    def forward(self, feats: torch.Tensor | Sequence[torch.Tensor]) -> NeckFeatures:
        """Makes the embeddings of all parts, (N, num_parts * out_channels), from the backbone's last map."""
        x = last_map(feats, self.in_channels, 'PartNeck')
        if x.shape[2] < self.num_parts:
            raise ValueError(
                f'the map is {x.shape[2]}x{x.shape[3]}, so it cannot be cut into num_parts={self.num_parts} stripes; '
                'take fewer parts, higher images, or a smaller stride of the backbone (ResNet: strides=(1, 2, 2, 1))'
            )
        stripes = x.tensor_split(self.num_parts, dim=2)
        parts = [embed(pooled(self.pool, stripe)) for embed, stripe in zip(self.embed, stripes, strict=True)]
        before = torch.cat(parts, dim=1)
        return NeckFeatures(before, self.bn(before))
