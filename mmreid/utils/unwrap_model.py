# Copyright (c) mmreid contributors. All rights reserved.
"""Takes a model out of its distributed wrapper."""

from mmengine.model import is_model_wrapper
from torch import nn


def unwrap_model(model: nn.Module) -> nn.Module:
    """Returns the model inside a distributed wrapper, or the model itself."""
    return model.module if is_model_wrapper(model) else model
