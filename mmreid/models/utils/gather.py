# Copyright (c) mmreid contributors. All rights reserved.
"""Gathers embeddings from all ranks and keeps their gradient."""

from typing import Any

import torch
from mmengine.dist import all_gather, all_reduce, get_dist_info


class _GatherWithGrad(torch.autograd.Function):
    """``torch.distributed.nn`` has this too, but as a deprecated function."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.rows = len(x)
        return torch.cat(all_gather(x.contiguous()))

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        # Every rank uses every row, so the gradient of a row is the sum over ranks.
        grad = grad.clone(memory_format=torch.contiguous_format)
        all_reduce(grad, op='sum')
        first = get_dist_info()[0] * ctx.rows
        return grad[first : first + ctx.rows]


def gather_with_grad(x: torch.Tensor) -> torch.Tensor:
    """Concatenates the tensors of all ranks in rank order; the gradient flows back to every rank.

    All ranks must pass the same shape. (``mmengine.dist.all_gather`` has no gradient.)

    Args:
        x (torch.Tensor): Shape (N, ...).

    Returns:
        torch.Tensor: Shape (ranks * N, ...); ``x`` itself without distributed training.
    """
    return x if get_dist_info()[1] == 1 else _GatherWithGrad.apply(x)
