# Copyright (c) mmreid contributors. All rights reserved.
"""Gradient checkpointing of modality norms: what runs again runs on the batch and the mixture it ran on before."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch.utils.checkpoint

from .branch_context import BranchContext
from .branch_norm import BranchNorm


class Replay:
    """Puts the batch and the mixing weights of one forward back for as long as a part of it runs again.

    Args:
        context (BranchContext): That of the norms.
        norms (Sequence[BranchNorm]): The norms of the network.
    """

    def __init__(self, context: BranchContext, norms: Sequence[BranchNorm]) -> None:
        self.context, self.norms = context, norms
        self.then = self._state()
        self.outer: list[tuple] = []  # checkpoints may stand inside others

    def __enter__(self) -> None:
        self.outer.append(self._state())
        self._set(*self.then)

    def __exit__(self, *_: object) -> None:
        self._set(*self.outer.pop())

    def _state(self) -> tuple:
        return self.context.batch, [norm.weights for norm in self.norms]

    def _set(self, batch: tuple, weights: list) -> None:
        self.context.batch = batch
        for norm, weight in zip(self.norms, weights, strict=True):
            norm.weights = weight


@contextmanager
def checkpoints_of(context: BranchContext, norms: Sequence[BranchNorm]) -> Iterator[None]:
    """Binds the checkpoints of a forward to its batch, and makes them non-reentrant.

    MMPretrain's ``with_cp=True`` leaves the kind to torch, whose default runs one backward inside another. The mixing
    weights of all searched norms come from one softmax, whose graph the first inner backward would free.

    Args:
        context (BranchContext): That of the norms, on which the batch is set.
        norms (Sequence[BranchNorm]): The norms of the network, with their weights.
    """
    if torch.compiler.is_compiling() or not torch.is_grad_enabled():
        yield
        return
    original = torch.utils.checkpoint.checkpoint
    replay = Replay(context, norms)

    def checkpoint(function: Callable, *args: Any, use_reentrant: bool | None = None, **kwargs: Any) -> Any:
        if use_reentrant:  # a backbone may ask for that kind, which takes no context_fn

            def replayed(*inputs: Any) -> Any:
                with replay:
                    return function(*inputs)

            return original(replayed, *args, use_reentrant=True, **kwargs)
        kwargs.setdefault('context_fn', lambda: (nullcontext(), replay))
        return original(function, *args, use_reentrant=False, **kwargs)

    torch.utils.checkpoint.checkpoint = checkpoint
    try:
        yield
    finally:
        torch.utils.checkpoint.checkpoint = original
