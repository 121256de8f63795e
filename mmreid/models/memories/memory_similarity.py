# Copyright (c) mmreid contributors. All rights reserved.
"""How like a batch is to every slot of a memory: nearest slots, and cross entropy over all of them."""

from functools import cached_property
from typing import Any, Protocol

import torch
from mmengine.dist import all_gather, all_reduce

from mmreid.models.utils.precision import full_precision


class Slots(Protocol):
    """What is asked of slots to compare features with them.

    Attributes:
        num_slots (int): Slots of all ranks.
        first (int): Number of the first slot of this rank.
        sharded (bool): Whether each rank has a part of the slots.
        rank (int): This rank; asked for only where they are sharded.
        version (int): How often they were written.
    """

    num_slots: int
    first: int
    sharded: bool
    rank: int
    version: int

    def product(self, rows: torch.Tensor) -> torch.Tensor:
        """Multiplies rows (R, D) with the slots of this rank; shape (R, S)."""

    def product_back(self, grad: torch.Tensor) -> torch.Tensor:
        """Multiplies what belongs to the slots of this rank, (R, S), with them; shape (R, D)."""


class MemorySimilarity:
    """Logits of a batch over all slots, taken once and used for the neighbors and for the loss.

    With a sharded memory every rank compares the batches of all ranks with its own slots; what is found is merged, so
    that all ranks together compute exactly what one memory would. Then all ranks must call the same methods, with
    batches of the same size.

    Args:
        memory (Slots): The slots, as they are now.
        feats (torch.Tensor): Features of this rank, shape (N, D), float32, with gradient.
        temperature (float): The similarities are divided by it.

    Attributes:
        logits (torch.Tensor): Shape (R, S): rows of all ranks (N of them unless sharded), slots of this rank.
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
        """Finds the slots that are most like each row, its own slot among them.

        Args:
            k (int): How many.

        Returns:
            torch.Tensor: Their numbers, shape (N, k), most similar first; int64.
        """
        values, columns = self.logits.topk(min(k, self.logits.shape[1]), dim=1)
        slots = columns + self.memory.first
        if not self.memory.sharded:
            return slots
        # Each shard gives k candidates, or fewer slots than that and a rest that never wins.
        rest = (0, k - values.shape[1])
        values = torch.nn.functional.pad(values, rest, value=float('-inf'))
        slots = torch.nn.functional.pad(slots, rest)
        values, slots = (torch.cat(all_gather(part), dim=1)[self._mine()] for part in (values, slots))
        return slots.gather(1, values.topk(k, dim=1).indices)

    def cross_entropy(self, slots: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Cross entropy of each row over all slots, with a few weighted targets.

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
        """Rows of this rank among those of all."""
        begin = self.memory.rank * len(self.feats) if self.memory.sharded else 0
        return slice(begin, begin + len(self.feats))

    @cached_property
    def _log_sum_exp(self) -> torch.Tensor:
        local = self.logits.logsumexp(1)
        return torch.stack(all_gather(local)).logsumexp(0) if self.memory.sharded else local


class _SlotCrossEntropy(torch.autograd.Function):
    """The gradient reads the memory as it is during the backward, so the memory is written after it.

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
