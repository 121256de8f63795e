# Copyright (c) mmreid contributors. All rights reserved.
"""What all necks do with what a backbone gives."""

from collections.abc import Sequence

import torch
from torch import nn

from mmreid.models.utils.precision import full_precision


def last_output(feats: torch.Tensor | Sequence[torch.Tensor], in_channels: int) -> torch.Tensor:
    """Takes the last output of a backbone.

    Args:
        feats (torch.Tensor | Sequence[torch.Tensor]): The backbone's outputs, each (N, C, ...).
        in_channels (int): Channels that the neck expects.

    Returns:
        torch.Tensor: The last of them.

    Raises:
        ValueError: If it has other channels, or is neither a vector nor a map.
    """
    x = feats if isinstance(feats, torch.Tensor) else feats[-1]
    if not isinstance(x, torch.Tensor) or x.ndim not in (2, 4):
        found = f'features of shape {tuple(x.shape)}' if isinstance(x, torch.Tensor) else f'{len(x)} features at once'
        raise ValueError(
            f'the backbone gives {found}, but necks take vectors (N, C) or maps (N, C, H, W); of a VisionTransformer '
            "set out_type='cls_token', 'avg_featmap' or 'featmap', or take another backbone"
        )
    if x.shape[1] != in_channels:
        raise ValueError(
            f'the backbone gives {x.shape[1]} channels, but the neck has in_channels={in_channels}; set '
            f'model.neck.in_channels, and in_channels of the head where it follows, to {x.shape[1]}'
        )
    return x


def last_map(feats: torch.Tensor | Sequence[torch.Tensor], in_channels: int, needed_by: str) -> torch.Tensor:
    """Takes the last output of a backbone, which must be a map.

    Args:
        feats (torch.Tensor | Sequence[torch.Tensor]): The backbone's outputs, each (N, C, ...).
        in_channels (int): Channels that the neck expects.
        needed_by (str): The neck, for the message.

    Returns:
        torch.Tensor: Shape (N, C, H, W).

    Raises:
        ValueError: If it is a vector, or has other channels.
    """
    x = last_output(feats, in_channels)
    if x.ndim != 4:
        raise ValueError(
            f'the backbone gives features of shape {tuple(x.shape)}, but {needed_by} needs maps (N, C, H, W); let it '
            "give them (VisionTransformer: out_type='featmap', ConvNeXt: gap_before_final_norm=False), or take "
            'another backbone'
        )
    return x


def pooled(pool: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Pools a map, outside of mixed precision: powers and means over many places lose digits in half precision.

    Args:
        pool (nn.Module): The pooling.
        x (torch.Tensor): A map (N, C, H, W), or a vector (N, C), which stays as it is.

    Returns:
        torch.Tensor: Shape (N, C).
    """
    if x.ndim != 4:
        return x
    with full_precision(x):
        return pool(x.float())
