# Copyright (c) mmreid contributors. All rights reserved.
"""Keeps a computation out of mixed precision."""

from contextlib import AbstractContextManager, nullcontext

import torch


def full_precision(x: torch.Tensor) -> AbstractContextManager:
    """Switches autocast off on the device of a tensor.

    Args:
        x (torch.Tensor): The tensor whose device counts.

    Returns:
        AbstractContextManager: The context; an empty one on devices without autocast, such as meta.
    """
    if not torch.amp.is_autocast_available(x.device.type):
        return nullcontext()
    return torch.autocast(x.device.type, enabled=False)
