# Copyright (c) mmreid contributors. All rights reserved.
"""Keeps the slope of a critic near 1."""

from collections.abc import Callable

import torch


def gradient_penalty(
    critic: Callable[[torch.Tensor], torch.Tensor], real: torch.Tensor, made: torch.Tensor, mix: torch.Tensor
) -> torch.Tensor:
    """Penalizes slopes other than 1 between real and made images (Gulrajani et al., WGAN-GP, NeurIPS 2017).

    It is computed in float32, whatever the surrounding precision is, since the gradient of a gradient underflows soon.

    Args:
        critic (Callable): Gives scores, whose first dimension is the images'. No distributed wrapper: this runs a
            gradient of its own, which such a wrapper would not understand.
        real (torch.Tensor): Real images, shape (N, 3, H, W).
        made (torch.Tensor): Made images, shape (N, 3, H, W).
        mix (torch.Tensor): Share of the real image in the point where the slope is taken, in [0, 1], shape (N,).

    Returns:
        torch.Tensor: Mean of (norm of the slope - 1) squared, a scalar that can be differentiated.
    """
    with torch.autocast(real.device.type, enabled=False):
        points = torch.lerp(made.float(), real.float(), mix[:, None, None, None]).detach().requires_grad_()
        (slopes,) = torch.autograd.grad(critic(points).sum(), points, create_graph=True)
        return (slopes.flatten(1).norm(dim=1) - 1).square().mean()
