# Copyright (c) mmreid contributors. All rights reserved.
"""Gradient checkpointing of branch norms: a part that reruns sees the batch and the mixture of its first run.

MMPretrain's backbones (``with_cp=True``) call ``torch.utils.checkpoint.checkpoint`` without a ``context_fn`` and offer
no way to pass one. So :func:`register_checkpoint` puts :func:`checkpoint` into its place, once per process, and only
when a model has branch norms and a backbone with ``with_cp`` (:func:`~mmreid.models.layers.attach_branches`). Outside
of a forward of such a model it is torch's function unchanged.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

import torch.utils.checkpoint

from .branch_context import BranchContext
from .branch_norm import BranchNorm

_torch_checkpoint: Callable | None = None  # torch's own, once ours stands in its place
_running: ContextVar['Replay | None'] = ContextVar('running', default=None)


class Replay:
    """Restores the batch and the mixing weights of one forward while a part of it reruns.

    Args:
        context (BranchContext): The context of the norms.
        norms (Sequence[BranchNorm]): The norms of the network.
    """

    def __init__(self, context: BranchContext, norms: Sequence[BranchNorm]) -> None:
        self.context, self.norms = context, norms
        self.then = self._state()
        self.outer: list[tuple] = []  # checkpoints may be nested

    def __enter__(self) -> None:
        self.outer.append((_running.get(), *self._state()))
        _running.set(self)  # so that nested checkpoints rerun as they ran
        self._restore(*self.then)

    def __exit__(self, *_: object) -> None:
        running, *state = self.outer.pop()
        _running.set(running)
        self._restore(*state)

    def _state(self) -> tuple:
        return self.context.batch, [norm.weights for norm in self.norms]

    def _restore(self, batch: tuple, weights: list) -> None:
        self.context.batch = batch
        for norm, weight in zip(self.norms, weights, strict=True):
            norm.weights = weight


def register_checkpoint() -> None:
    """Lets every ``torch.utils.checkpoint.checkpoint`` of this process know branch norms; calling it again is free.

    A backbone that checkpoints without an attribute ``with_cp`` needs this call.
    """
    global _torch_checkpoint
    if _torch_checkpoint is None:
        _torch_checkpoint = torch.utils.checkpoint.checkpoint
        torch.utils.checkpoint.checkpoint = checkpoint


def checkpoint(function: Callable, *args: Any, use_reentrant: bool | None = None, **kwargs: Any) -> Any:
    """Stands in for :func:`torch.utils.checkpoint.checkpoint`; see there for the arguments."""
    replay = _running.get()
    if replay is None:
        kind = {} if use_reentrant is None else dict(use_reentrant=use_reentrant)
        return _torch_checkpoint(function, *args, **kind, **kwargs)
    if use_reentrant:  # this kind takes no context_fn

        def replayed(*inputs: Any) -> Any:
            with replay:
                return function(*inputs)

        return _torch_checkpoint(replayed, *args, use_reentrant=True, **kwargs)
    kwargs.setdefault('context_fn', lambda: (nullcontext(), replay))
    return _torch_checkpoint(function, *args, use_reentrant=False, **kwargs)


@contextmanager
def replayable(context: BranchContext, norms: Sequence[BranchNorm]) -> Iterator[None]:
    """Binds the checkpoints inside to the running batch, and makes them non-reentrant unless they ask otherwise.

    Torch's default kind runs one backward inside another. The mixing weights of all searched norms come from one
    softmax, whose graph the first inner backward would free.

    Args:
        context (BranchContext): The context of the norms, with the batch.
        norms (Sequence[BranchNorm]): The norms of the network, with their weights.
    """
    if torch.compiler.is_compiling() or not torch.is_grad_enabled():
        yield
        return
    outer = _running.get()
    _running.set(Replay(context, norms))
    try:
        yield
    finally:
        _running.set(outer)
