# Copyright (c) mmreid contributors. All rights reserved.
"""Architecture steps without the gradients of the weights, which nobody uses and which cost a third of a step."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from mmengine.dist import all_reduce
from mmengine.model import is_model_wrapper
from torch import nn


@contextmanager
def logits_only(model: nn.Module, logits: nn.Parameter) -> Iterator[None]:
    """Lets only the logits of a model have a gradient, and averages it over the ranks in the end.

    DistributedDataParallel would wait for the gradients of all weights, so it is kept out, and what is sent is the few
    logits.

    Args:
        model (nn.Module): The model, wrapped for several ranks or not.
        logits (nn.Parameter): The architecture parameters.
    """
    others = [entry for entry in model.parameters() if entry.requires_grad and entry is not logits]
    wrapped = is_model_wrapper(model) and hasattr(model, 'no_sync')
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
