# Copyright (c) mmreid contributors. All rights reserved.
"""Lets convolutions work in the channels-last layout."""

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from torch import nn

from mmreid.registry import HOOKS


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Lays the images and the weights of the backbone out channels last (N, H, W, C), which tensor cores want.

    Shapes, values and checkpoints stay what they are; only strides change. It pays with mixed precision on a GPU.
    """

    def before_run(self, runner) -> None:
        """Changes the layout of the backbone, and of whatever goes into it from now on.

        Args:
            runner (Runner): The runner of the process.

        Raises:
            AttributeError: If the model has no backbone.
        """
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        if not isinstance(getattr(model, 'backbone', None), nn.Module):
            raise AttributeError(
                f'{type(model).__name__} has no backbone whose layout ChannelsLastHook could change; take the hook out '
                'of custom_hooks'
            )
        if not getattr(model.backbone, 'takes_channels_last', False):
            model.backbone.to(memory_format=torch.channels_last)
            model.backbone.register_forward_pre_hook(_channels_last)
            model.backbone.takes_channels_last = True


def _channels_last(module: nn.Module, inputs: tuple) -> tuple:
    images, *others = inputs
    return (images.contiguous(memory_format=torch.channels_last), *others)
