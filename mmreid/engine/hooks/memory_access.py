# Copyright (c) mmreid contributors. All rights reserved.
"""The head that the memory hooks work on."""

from mmreid.models.heads import MemoryHead
from mmreid.utils.unwrap_model import unwrap_model


def memory_head(runner) -> MemoryHead:
    """Returns the head of the model; raises a TypeError if it has no memories to fill, update or measure."""
    model = unwrap_model(runner.model)
    if not isinstance(model.head, MemoryHead):
        raise TypeError(
            f'the head of {type(model).__name__} is a {type(model.head).__name__}, which has no memory; use '
            "head=dict(type='InvarianceHead', ...), or take the memory hooks out of custom_hooks"
        )
    return model.head
