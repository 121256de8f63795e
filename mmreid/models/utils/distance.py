# Copyright (c) mmreid contributors. All rights reserved.
"""Distances between two sets of embeddings, in float32 even under autocast."""

import torch

from .precision import full_precision


def squared_euclidean_distance(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Returns the squared Euclidean distance of every pair.

    Args:
        x (torch.Tensor): Shape (N, D).
        y (torch.Tensor): Shape (M, D).

    Returns:
        torch.Tensor: Shape (N, M), at least float32, never negative.
    """
    with full_precision(x):
        if x.dtype not in (torch.float32, torch.float64):
            x, y = x.float(), y.float()
        distance = x.square().sum(1, keepdim=True) + y.square().sum(1)
        return torch.addmm(distance, x, y.t(), alpha=-2).clamp_min(0)


def euclidean_distance(x: torch.Tensor, y: torch.Tensor, eps: float = 1e-12) -> torch.Tensor:
    """Returns the Euclidean distance of every pair, with a finite gradient where two embeddings are equal.

    Args:
        x (torch.Tensor): Shape (N, D).
        y (torch.Tensor): Shape (M, D).
        eps (float): Smallest squared distance. Defaults to 1e-12.

    Returns:
        torch.Tensor: Shape (N, M), at least float32.
    """
    return squared_euclidean_distance(x, y).clamp_min(eps).sqrt()
