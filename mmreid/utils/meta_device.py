# Copyright (c) mmreid contributors. All rights reserved.
"""Builds full-size networks without memory or time for their weights."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.overrides import TorchFunctionMode


class _LinspaceOnCpu(TorchFunctionMode):
    """Keeps linspace on the CPU: MMPretrain's backbones read layer rates from it, which a meta tensor cannot give."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if func is torch.linspace:
            kwargs['device'] = 'cpu'
        return func(*args, **kwargs)


@contextmanager
def meta_device() -> Iterator[None]:
    """Gives tensors that are created inside only a shape."""
    with torch.device('meta'), _LinspaceOnCpu():
        yield
