# Copyright (c) mmreid contributors. All rights reserved.
"""How necks read and pool the output of a backbone."""

from collections.abc import Sequence

import torch
from torch import nn

from mmreid.models.utils.precision import full_precision


def last_output(feats: torch.Tensor | Sequence[torch.Tensor], in_channels: int) -> torch.Tensor:
    """Returns the last output of a backbone, a vector (N, in_channels) or a map (N, in_channels, H, W)."""
    x = feats if isinstance(feats, torch.Tensor) else feats[-1]
    if not isinstance(x, torch.Tensor) or x.ndim not in (2, 4):
        found = f'features of shape {tuple(x.shape)}' if isinstance(x, torch.Tensor) else f'{len(x)} features at once'
        raise ValueError(
            f'the backbone gives {found}, but necks take vectors (N, C) or maps (N, C, H, W); for a VisionTransformer '
            "set out_type='cls_token', 'avg_featmap' or 'featmap', or use another backbone"
        )
    if x.shape[1] != in_channels:
        raise ValueError(
            f'the backbone gives {x.shape[1]} channels, but the neck has in_channels={in_channels}; set '
            f'model.neck.in_channels, and in_channels of the head where it follows, to {x.shape[1]}'
        )
    return x


def last_map(feats: torch.Tensor | Sequence[torch.Tensor], in_channels: int, needed_by: str) -> torch.Tensor:
    """Returns the last output of a backbone, which must be a map (N, in_channels, H, W); the message names the neck."""
    x = last_output(feats, in_channels)
    if x.ndim != 4:
        raise ValueError(
            f'the backbone gives features of shape {tuple(x.shape)}, but {needed_by} needs maps (N, C, H, W); make it '
            "give them (VisionTransformer: out_type='featmap', ConvNeXt: gap_before_final_norm=False), or use "
            'another backbone'
        )
    return x


def pooled(pool: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Pools a map to (N, C) in float32, as half precision loses digits in powers and means; a vector stays as it is."""
    if x.ndim != 4:
        return x
    with full_precision(x):
        return pool(x.float())
