# Copyright (c) mmreid contributors. All rights reserved.
"""Compares a batch with every slot of a memory: nearest slots, and cross entropy over all of them."""

from functools import cached_property
from typing import Any, Protocol

import torch
from mmengine.dist import all_gather, all_reduce

from mmreid.models.utils.precision import full_precision


class Slots(Protocol):
    """Slots that features can be compared with.

    Attributes:
        num_slots (int): Slots of all ranks.
        first (int): Index of the first slot of this rank.
        sharded (bool): Whether each rank has a part of the slots.
        rank (int): This rank; read only if sharded.
        version (int): How often the slots were written.
    """

    num_slots: int
    first: int
    sharded: bool
    rank: int
    version: int

    def compare(self, feats: torch.Tensor, temperature: float = 1.0) -> 'MemorySimilarity':
        """Compares features (N, D) with all slots; the similarities are divided by the temperature."""

    def product(self, rows: torch.Tensor) -> torch.Tensor:
        """Multiplies rows (R, D) with the slots of this rank; shape (R, S)."""

    def product_back(self, grad: torch.Tensor) -> torch.Tensor:
        """Multiplies gradients (R, S) with the slots of this rank; shape (R, D)."""


class MemorySimilarity:
    """Logits of a batch over all slots, computed once for both neighbors and loss.

    With a sharded memory, every rank compares the batches of all ranks with its own slots, and the results are merged
    to exactly those of one memory. Then all ranks must call the same methods, with batches of the same size.

    Args:
        memory (Slots): The slots as they are now.
        feats (torch.Tensor): Features of this rank, shape (N, D), float32, with gradient.
        temperature (float): The similarities are divided by it.

    Attributes:
        logits (torch.Tensor): Shape (R, S): rows of all ranks if sharded, else R = N; slots of this rank.
    """

    def __init__(self, memory: Slots, feats: torch.Tensor, temperature: float) -> None:
        self.memory = memory
        self.feats = feats
        self.temperature = temperature
        with torch.no_grad(), full_precision(feats):
            # Dividing the features spares a pass over the logits.
            self.logits = memory.product(self._gather(feats.detach() / temperature))

    @torch.no_grad()
    def nearest(self, k: int) -> torch.Tensor:
        """Finds the slots most similar to each row, its own slot included.

        Args:
            k (int): Number of slots.

        Returns:
            torch.Tensor: Indices of slots, shape (N, k), most similar first; int64.
        """
        values, columns = self.logits.topk(min(k, self.logits.shape[1]), dim=1)
        slots = columns + self.memory.first
        if not self.memory.sharded:
            return slots
        # Each shard gives k candidates; one with fewer slots is padded with candidates that never win.
        rest = (0, k - values.shape[1])
        values = torch.nn.functional.pad(values, rest, value=float('-inf'))
        slots = torch.nn.functional.pad(slots, rest)
        values, slots = (torch.cat(all_gather(part), dim=1)[self._mine()] for part in (values, slots))
        return slots.gather(1, values.topk(k, dim=1).indices)

    def cross_entropy(self, slots: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Computes the cross entropy of each row over all slots, with a few weighted targets.

        Args:
            slots (torch.Tensor): Target slots of each row, shape (N, T), int64.
            weights (torch.Tensor): Their weights, shape (N, T), which need not sum to 1.

        Returns:
            torch.Tensor: Shape (N,), float32: the sum over the targets of weight times -log softmax.
        """
        with full_precision(self.feats):
            return _SlotCrossEntropy.apply(self.feats, slots, weights.float(), self)

    def _gather(self, rows: torch.Tensor) -> torch.Tensor:
        return torch.cat(all_gather(rows.contiguous())) if self.memory.sharded else rows

    def _sum(self, rows: torch.Tensor) -> torch.Tensor:
        if self.memory.sharded:
            all_reduce(rows, op='sum')
        return rows

    def _mine(self) -> slice:
        """Returns the rows of this rank among those of all ranks."""
        begin = self.memory.rank * len(self.feats) if self.memory.sharded else 0
        return slice(begin, begin + len(self.feats))

    @cached_property
    def _log_sum_exp(self) -> torch.Tensor:
        local = self.logits.logsumexp(1)
        return torch.stack(all_gather(local)).logsumexp(0) if self.memory.sharded else local


class _SlotCrossEntropy(torch.autograd.Function):
    """Reads the memory in the backward too, so the memory may be written only after it.

    Only the two products (features with slots, gradient with slots) and one pass over the logits are large.
    """

    @staticmethod
    def forward(
        ctx: Any, feats: torch.Tensor, slots: torch.Tensor, weights: torch.Tensor, similarity: MemorySimilarity
    ) -> torch.Tensor:
        slots, weights = similarity._gather(slots), similarity._gather(weights)
        columns = slots - similarity.memory.first
        here = (columns >= 0) & (columns < similarity.logits.shape[1])
        columns = columns.clamp(0, similarity.logits.shape[1] - 1)
        picked = (similarity.logits.gather(1, columns) * weights * here).sum(1)
        log_sum = similarity._log_sum_exp
        ctx.similarity, ctx.version = similarity, similarity.memory.version
        ctx.save_for_backward(columns, weights * here, log_sum, weights.sum(1))
        return (weights.sum(1) * log_sum - similarity._sum(picked))[similarity._mine()]

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple:
        similarity = ctx.similarity
        if ctx.version != similarity.memory.version:
            raise RuntimeError(
                'the exemplar memory was written between a forward and its backward; update it after the backward, as '
                'MemoryUpdateHook does'
            )
        columns, weights, log_sum, mass = ctx.saved_tensors
        with full_precision(grad):
            grad = similarity._gather(grad.float())[:, None]
            to_logits = torch.sub(similarity.logits, log_sum[:, None]).exp_().mul_(grad * mass[:, None])
            to_logits.scatter_add_(1, columns, -grad * weights)
            to_feats = similarity._sum(similarity.memory.product_back(to_logits))[similarity._mine()]
        return to_feats / similarity.temperature, None, None, None
