# Copyright (c) mmreid contributors. All rights reserved.
"""The model inside a wrapper of distributed training."""

from mmengine.model import is_model_wrapper
from torch import nn


def unwrap_model(model: nn.Module) -> nn.Module:
    """Returns the model inside ``model``, which is ``model`` itself where nothing wraps it."""
    return model.module if is_model_wrapper(model) else model
