# Copyright (c) mmreid contributors. All rights reserved.
"""Gathers embeddings over ranks without cutting the gradient."""

import torch
from mmengine.dist import get_dist_info
from torch.distributed.nn.functional import all_gather


def gather_with_grad(x: torch.Tensor) -> torch.Tensor:
    """Concatenates a tensor of all ranks, in rank order; the gradient flows back to every rank.

    (``mmengine.dist.all_gather`` has no gradient.) All ranks must give the same shape.

    Args:
        x (torch.Tensor): Shape (N, ...).

    Returns:
        torch.Tensor: Shape (ranks * N, ...); ``x`` itself without distributed training.
    """
    if get_dist_info()[1] == 1:
        return x
    return torch.cat(all_gather(x.contiguous()))
