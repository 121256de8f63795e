# Copyright (c) mmreid contributors. All rights reserved.
"""Runs convolutions in the channels-last layout."""

import torch
from torch import nn

from mmreid.models.reid import BaseReID


def to_channels_last(model: nn.Module) -> None:
    """Stores the images and the weights of a backbone channels last (N, H, W, C), the layout for tensor cores.

    Only strides change: shapes, values and checkpoints stay the same. Call it before the model is wrapped for several
    processes: gradient buckets made for the other layout average the first step wrongly (torch 2.15).

    Args:
        model (nn.Module): A re-ID model with a backbone, not wrapped.

    Raises:
        AttributeError: If it has no backbone.
    """
    if not isinstance(model, BaseReID) or model.backbone is None:
        raise AttributeError(
            f'{type(model).__name__} has no backbone whose layout channels_last=True could change; take it out of the '
            'config'
        )
    model.backbone.to(memory_format=torch.channels_last)
    model.backbone.register_forward_pre_hook(_channels_last)


def _channels_last(module: nn.Module, inputs: tuple) -> tuple:
    images, *others = inputs
    return (images.contiguous(memory_format=torch.channels_last), *others)
