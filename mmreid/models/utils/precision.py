# Copyright (c) mmreid contributors. All rights reserved.
"""Excludes a computation from mixed precision."""

from contextlib import AbstractContextManager, nullcontext

import torch


def full_precision(x: torch.Tensor) -> AbstractContextManager:
    """Returns a context that switches autocast off on the device of ``x``; no-op for devices without it, like meta."""
    if not torch.amp.is_autocast_available(x.device.type):
        return nullcontext()
    return torch.autocast(x.device.type, enabled=False)
