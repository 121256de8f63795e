# Copyright (c) mmreid contributors. All rights reserved.
"""Keeps the gradient norm of a critic near 1."""

from collections.abc import Callable

import torch

from mmreid.models.utils.precision import full_precision


def gradient_penalty(
    critic: Callable[[torch.Tensor], torch.Tensor], real: torch.Tensor, made: torch.Tensor, mix: torch.Tensor
) -> torch.Tensor:
    """Penalizes gradient norms other than 1 between real and made images (Gulrajani et al., WGAN-GP, NeurIPS 2017).

    Always computes in float32, because the gradient of a gradient underflows easily.

    Args:
        critic (Callable): Scores images along the first dimension. It must not be a distributed wrapper, which cannot
            handle the separate gradient computed here.
        real (torch.Tensor): Real images, shape (N, 3, H, W).
        made (torch.Tensor): Made images, shape (N, 3, H, W).
        mix (torch.Tensor): Fraction of the real image in the point of each gradient, in [0, 1], shape (N,).

    Returns:
        torch.Tensor: Mean of (gradient norm - 1) squared, a scalar with a gradient.
    """
    with full_precision(real):
        points = torch.lerp(made.float(), real.float(), mix[:, None, None, None]).detach().requires_grad_()
        (slopes,) = torch.autograd.grad(critic(points).sum(), points, create_graph=True)
        return (slopes.flatten(1).norm(dim=1) - 1).square().mean()
