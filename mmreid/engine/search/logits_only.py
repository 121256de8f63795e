# Copyright (c) mmreid contributors. All rights reserved.
"""Architecture steps without gradients of the weights, which have no use and take a third of the time of a step."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from mmengine.dist import all_reduce
from torch import nn
from torch.nn.parallel import DistributedDataParallel


@contextmanager
def logits_only(model: nn.Module, logits: nn.Parameter) -> Iterator[None]:
    """Computes gradients of the logits only, and averages them over the ranks at the end.

    DistributedDataParallel would wait for the gradients of all weights, so it must not synchronize here.

    Args:
        model (nn.Module): The model, wrapped for several ranks or not.
        logits (nn.Parameter): The architecture parameters.
    """
    others = [entry for entry in model.parameters() if entry.requires_grad and entry is not logits]
    wrapped = isinstance(model, DistributedDataParallel)
    for entry in others:
        entry.requires_grad_(False)
    try:
        with model.no_sync() if wrapped else nullcontext():
            yield
    finally:
        for entry in others:
            entry.requires_grad_(True)
    if wrapped and logits.grad is not None:
        all_reduce(logits.grad, op='mean')
