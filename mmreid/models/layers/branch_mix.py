# Copyright (c) mmreid contributors. All rights reserved.
"""The searched norm: ``p_split * split(x) + p_share * share(x)`` at the cost of one norm.

Both candidates are affine in the same input. So the statistics of each branch are computed once, the pooled ones follow
from them, and one affine map is applied. The backward needs two sums per channel and branch, and one affine map again.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from mmreid.models.utils.precision import full_precision

from .ghost_norm import GhostBN1d, GhostBN2d


class Moments(NamedTuple):
    """Mean and inverse standard deviation of each channel; (C,), or (V, C) for V branches."""

    mean: Tensor
    invstd: Tensor


def mixed_batch_norm(
    x: Tensor,
    blocks: tuple[int, ...],
    weights: Tensor,
    share: nn.BatchNorm2d,
    *branches: nn.BatchNorm2d,
) -> Tensor:
    """Mixes the shared batch norm with those of the branches; updates running statistics as each norm alone would.

    Args:
        x (Tensor): Maps, shape (N, C, H, W): one block of rows per branch.
        blocks (tuple[int, ...]): Size of each block.
        weights (Tensor): Weights of split and share, shape (2,).
        share (nn.BatchNorm2d): The shared norm.
        *branches (nn.BatchNorm2d): The norm of each block.

    Returns:
        Tensor: Shape (N, C, H, W).

    Raises:
        ValueError: In training, if a branch has one value per channel.
    """
    split = [norm for norm, size in zip(branches, blocks, strict=True) if size]
    sizes = tuple(size for size in blocks if size)
    plain = type(share) is nn.BatchNorm2d and share.affine and share.track_running_stats
    if not plain or torch.compiler.is_compiling():
        # Batch norms over ranks compute their own statistics, and a compiler fuses the plain definition.
        parts = [norm(part) for norm, part in zip(split, x.split(sizes), strict=True)]
        shared = share(x, sizes) if isinstance(share, (GhostBN1d, GhostBN2d)) else share(x)
        return weights[0] * torch.cat(parts) + weights[1] * shared
    affine = [parameter for norm in (share, *split) for parameter in (norm.weight, norm.bias)]
    with full_precision(x):
        return _MixedBatchNorm.apply(x, sizes, weights, share, split, *affine)


class _MixedBatchNorm(torch.autograd.Function):
    """Mixes as above, with V the number of branches in the batch.

    Let z be the input normalized by its branch, and ``ratio * z + offset`` the input normalized over all branches. The
    output is ``scale * z + shift``, with one scale and shift per channel and branch. The centered input, which is z up
    to a factor, is saved for the backward.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        sizes: tuple[int, ...],
        weights: Tensor,
        share: nn.BatchNorm2d,
        split: list[nn.BatchNorm2d],
        *affine: Tensor,
    ) -> Tensor:
        centered, own, pooled = _center(x, sizes, share, split)
        ratio, offset = pooled.invstd / own.invstd, (own.mean - pooled.mean) * pooled.invstd
        share_weight, share_bias, own_weight, own_bias = _by_candidate(affine)
        p_split, p_share = weights.unbind()
        scale = torch.addcmul(own_weight * p_split, share_weight * p_share, ratio)
        shift = torch.addcmul(own_bias * p_split, torch.addcmul(share_bias, share_weight, offset), p_share)
        factors = (_maps(scale * own.invstd), _maps(shift))
        y = torch.empty_like(centered)
        for part, out, slope, constant in zip(centered.split(sizes), y.split(sizes), *factors, strict=True):
            torch.addcmul(constant, part, slope, out=out)
        ctx.save_for_backward(centered, weights, own.invstd, pooled.invstd, ratio, offset, *affine)
        ctx.sizes, ctx.training = sizes, share.training
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple:
        centered, weights, own_invstd, pooled_invstd, ratio, offset, *affine = ctx.saved_tensors
        share_weight, share_bias, own_weight, own_bias = _by_candidate(affine)
        p_split, p_share = weights.unbind()
        pairs = list(zip(grad.split(ctx.sizes), centered.split(ctx.sizes), strict=True))
        # Sums of the gradient, and of its product with the normalized input: (V, C) own, (C,) shared.
        sums, products = torch.stack([row for pair in pairs for row in _sums(*pair)]).unflatten(0, (-1, 2)).unbind(1)
        products = products * own_invstd
        share_sum, share_product = sums.sum(0), torch.addcmul(ratio * products, offset, sums).sum(0)
        grad_weights = torch.stack(
            [
                torch.addcmul(own_weight * products, own_bias, sums).sum(),
                torch.addcmul(share_weight * share_product, share_bias, share_sum).sum(),
            ]
        )
        grad_affine = [share_product * p_share, share_sum * p_share]
        grad_affine += [row for pair in zip(products * p_split, sums * p_split, strict=True) for row in pair]

        by_own, by_share = own_weight * own_invstd * p_split, share_weight * pooled_invstd * p_share
        slope = by_own + by_share
        grad_x = torch.empty_like(centered)
        if not ctx.training:
            for (part, _), out, factor in zip(pairs, grad_x.split(ctx.sizes), _maps(slope), strict=True):
                torch.mul(part, factor, out=out)
            return grad_x, None, grad_weights, None, None, *grad_affine
        # The statistics depend on the input too.
        per_map = centered[0, 0].numel()
        by_own /= _column([-size * per_map for size in ctx.sizes], by_own)
        by_share /= -len(centered) * per_map
        curve = torch.addcmul(by_own * products, by_share * ratio, share_product) * own_invstd
        constant = torch.addcmul(by_own * sums, by_share, torch.addcmul(share_sum, offset, share_product))
        for (part, around), out, *factors in zip(
            pairs, grad_x.split(ctx.sizes), *map(_maps, (slope, curve, constant)), strict=True
        ):
            torch.addcmul(factors[2], part, factors[0], out=out).addcmul_(around, factors[1])
        return grad_x, None, grad_weights, None, None, *grad_affine


def mixed_layer_norm(
    x: Tensor,
    blocks: tuple[int, ...],
    weights: Tensor,
    share: nn.LayerNorm,
    *branches: nn.LayerNorm,
) -> Tensor:
    """Mixes the shared layer norm with those of the branches, which differ in scale and shift only.

    Takes tokens, shape (N, ..., C); otherwise like :func:`mixed_batch_norm`.
    """
    parts = []
    for norm, part in zip(branches, x.split(blocks), strict=True):
        if len(part):
            scale = weights[0] * norm.weight + weights[1] * share.weight
            shift = weights[0] * norm.bias + weights[1] * share.bias
            parts.append(F.layer_norm(part, norm.normalized_shape, scale, shift, norm.eps))
    return torch.cat(parts) if len(parts) > 1 else parts[0]


def _center(
    x: Tensor, sizes: tuple[int, ...], share: nn.BatchNorm2d, split: list[nn.BatchNorm2d]
) -> tuple[Tensor, Moments, Moments]:
    """Subtracts the mean of its branch from each block; returns also the moments of each block and of all together."""
    centered = torch.empty_like(x)
    parts, centered_parts = x.split(sizes), centered.split(sizes)
    counts = [size * x[0, 0].numel() for size in sizes]
    if share.training:
        if 1 in counts:
            raise ValueError(f'a branch norm in training was given one value a channel in a map of {tuple(x.shape)}')
        sums = [part.sum((2, 3), dtype=share.running_mean.dtype).sum(0) for part in parts]
        means = torch.stack(sums) / _column(counts, sums[0])
    else:
        means = torch.stack([norm.running_mean for norm in split])
    for part, mean, out in zip(parts, _maps(means), centered_parts, strict=True):
        torch.sub(part, mean, out=out)
    if not share.training:
        variances = torch.stack([norm.running_var for norm in split])
        return (
            centered,
            _moments(means, variances, share.eps),
            _moments(share.running_mean, share.running_var, share.eps),
        )
    lengths = [torch.linalg.vector_norm(part, dim=(2, 3), dtype=means.dtype) for part in centered_parts]
    variances = torch.stack([length.square().sum(0) for length in lengths]) / _column(counts, means)
    # The variance over all is the mean of the variances plus the variance of the means.
    fractions = _column([count / sum(counts) for count in counts], means)
    mean = (fractions * means).sum(0)
    variance = (fractions * torch.addcmul(variances, means - mean, means - mean)).sum(0)
    for norm, *moments, count in zip(split, means, variances, counts, strict=True):
        _update_running(norm, *moments, count)
    _update_running(share, mean, variance, sum(counts))
    return centered, _moments(means, variances, share.eps), _moments(mean, variance, share.eps)


def _update_running(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor, count: int) -> None:
    norm.num_batches_tracked += 1
    momentum = 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
    norm.running_mean.lerp_(mean, momentum)
    norm.running_var.lerp_(variance * (count / (count - 1)), momentum)


def _moments(mean: Tensor, variance: Tensor, eps: float) -> Moments:
    return Moments(mean, torch.rsqrt(variance + eps))


def _by_candidate(affine: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Returns weight and bias of the shared norm, (C,), and of the split ones, (V, C)."""
    return affine[0], affine[1], torch.stack(affine[2::2]), torch.stack(affine[3::2])


def _sums(grad: Tensor, centered: Tensor) -> tuple[Tensor, Tensor]:
    """Sums a gradient, and its product with the input, over all but the channels, in float32 or better."""
    if grad.dtype in (torch.float16, torch.bfloat16):
        grad, centered = grad.float(), centered.float()
    return grad.sum((2, 3)).sum(0), (grad * centered).sum((2, 3)).sum(0)  # in two steps, which is faster on CPUs


def _maps(values: Tensor) -> tuple[Tensor, ...]:
    """Shapes values (V, C) so that each row multiplies maps (N, C, H, W)."""
    return values[:, :, None, None].unbind()


def _column(values: list[float], like: Tensor) -> Tensor:
    return torch.tensor(values, dtype=like.dtype).to(like.device, non_blocking=True)[:, None]
