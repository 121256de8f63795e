# Copyright (c) mmreid contributors. All rights reserved.
"""Lets convolutions work in the channels-last layout."""

import torch
from torch import nn


def to_channels_last(model: nn.Module) -> None:
    """Lays the images and the weights of the backbone out channels last (N, H, W, C), which tensor cores want.

    Shapes, values and checkpoints stay what they are; only strides change. It must be done before the model is wrapped
    for several processes: buckets that were made for the other layout average the gradients of the first step wrongly
    (torch 2.15).

    Args:
        model (nn.Module): A model with a ``backbone``, not wrapped.

    Raises:
        AttributeError: If it has none.
    """
    backbone = getattr(model, 'backbone', None)
    if not isinstance(backbone, nn.Module):
        raise AttributeError(
            f'{type(model).__name__} has no backbone whose layout channels_last=True could change; take it out of the '
            'config'
        )
    backbone.to(memory_format=torch.channels_last)
    backbone.register_forward_pre_hook(_channels_last)


def _channels_last(module: nn.Module, inputs: tuple) -> tuple:
    images, *others = inputs
    return (images.contiguous(memory_format=torch.channels_last), *others)
