# Copyright (c) mmreid contributors. All rights reserved.
"""Gradient checkpointing that reaches weights from outside the checkpointed part."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch.utils.checkpoint


@contextmanager
def non_reentrant_checkpoints() -> Iterator[None]:
    """Makes checkpoints of a forward non-reentrant unless they say otherwise.

    MMPretrain's ``with_cp=True`` leaves it to torch, whose default runs one backward inside another. The mixing weights
    of all searched norms come from one softmax, whose graph the first inner backward would free.
    """
    original = torch.utils.checkpoint.checkpoint
    torch.utils.checkpoint.checkpoint = partial(original, use_reentrant=False)
    try:
        yield
    finally:
        torch.utils.checkpoint.checkpoint = original
