# Copyright (c) mmreid contributors. All rights reserved.
"""Builds networks of full size without memory or time for their weights."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.overrides import TorchFunctionMode


class _LinspaceOnCpu(TorchFunctionMode):
    """MMPretrain's backbones read the rates of their layers out of a linspace, which a meta tensor cannot tell."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if func is torch.linspace:
            kwargs['device'] = 'cpu'
        return func(*args, **kwargs)


@contextmanager
def meta_device() -> Iterator[None]:
    """Makes tensors that are created inside have a shape only."""
    with torch.device('meta'), _LinspaceOnCpu():
        yield
