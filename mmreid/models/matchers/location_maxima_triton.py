# Copyright (c) mmreid contributors. All rights reserved.
"""Query-adaptive convolution on a GPU: products of locations and both maxima in one pass, in Triton.

A program keeps one query map on the chip, if it fits, and loops over gallery maps, ``BLOCK_N`` locations at a time;
products are never written to memory. Float32 is multiplied as three products of its upper and lower halves in TF32,
which keeps its precision. ``location_maxima`` imports this file for maps on CUDA only; its torch code is the reference.
"""

import warnings
from functools import cache

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK_N = 64
MAX_LOCATIONS = 512  # of a query map, each with a row of products in registers
MAX_MAP_BYTES = 2**16  # of a query map that stays in shared memory; others are read in parts of their channels
GRADIENT_CHANNELS = 128  # of a sum in registers
PROGRAMS = 2**10  # enough to fill any GPU


def fits(query: Tensor, gallery: Tensor) -> bool:
    """Returns whether the kernels take maps (N, hw, d) of these sizes and this type."""
    if max(_block(maps.shape[1]) for maps in (query, gallery)) > MAX_LOCATIONS:
        return False
    return _works(query.dtype, query.shape[1], gallery.shape[1], query.shape[2], query.device)


@cache
def _works(dtype: torch.dtype, hw_q: int, hw_g: int, dim: int, device: torch.device) -> bool:
    """Tries the kernels on one pair of maps, because GPUs differ in what fits on them."""
    query, gallery = (torch.zeros(1, hw, dim, dtype=dtype, device=device) for hw in (hw_q, hw_g))
    try:
        *maxima, query_best, gallery_best = fused_maxima(query, gallery, with_indices=True)
        fused_maxima(query, gallery)
        own, other = (query_best, maxima[0]), (gallery_best, maxima[1])
        fused_gradient(gallery, *own, *other)
        fused_gradient(query, *other, *own)
    except Exception as error:  # noqa: BLE001 - whatever it is, plain torch does the same
        warnings.warn(
            f'the Triton kernels do not work here for maps of {hw_q} and {hw_g} locations x {dim} channels in {dtype} '
            f'({type(error).__name__}: {error}); matching falls back to plain torch, which is slower',
            stacklevel=2,
        )
        return False
    return True


def fused_maxima(query: Tensor, gallery: Tensor, with_indices: bool = False) -> tuple[Tensor | None, ...]:
    """Returns the maxima of all pairs of maps and, on request, their locations.

    Args:
        query (Tensor): Maps, shape (Q, hw_q, d), contiguous.
        gallery (Tensor): Maps, shape (G, hw_g, d), contiguous, of the same type.
        with_indices (bool): Whether to return the locations. Defaults to False.

    Returns:
        tuple[Tensor | None, ...]: Best products of the query locations (Q, G, hw_q) and of the gallery locations
        (Q, G, hw_g), float32; and the locations of both, int16, or None.
    """
    (num_query, hw_q, dim), (num_gallery, hw_g) = query.shape, gallery.shape[:2]
    of_query, of_gallery = (query.new_empty(num_query, num_gallery, hw, dtype=torch.float32) for hw in (hw_q, hw_g))
    places = [torch.empty_like(x, dtype=torch.int16) for x in (of_query, of_gallery)] if with_indices else [None, None]
    per_program = triton.cdiv(num_gallery, max(1, PROGRAMS // num_query))
    channels = _channels(query)
    _maxima_kernel[num_query, triton.cdiv(num_gallery, per_program)](
        query,
        gallery,
        of_query,
        of_gallery,
        places[0] if with_indices else of_query,
        places[1] if with_indices else of_gallery,
        num_gallery,
        per_program,
        hw_q,
        hw_g,
        dim,
        BLOCK_M=_block(hw_q),
        BLOCK_N=BLOCK_N,
        BLOCK_D=channels,
        WHOLE=channels >= dim,
        PRECISION=_precision(query),
        WITH_INDICES=with_indices,
        num_warps=8 if _block(hw_q) >= 128 else 4,
        num_stages=2,  # two programs share a multiprocessor: one multiplies while the other compares
    )
    return of_query, of_gallery, *places


def fused_gradient(other: Tensor, own_best: Tensor, own_grad: Tensor, other_best: Tensor, other_grad: Tensor) -> Tensor:
    """Computes the gradient of one side, see ``location_maxima._gradient``; rounds weights to the type of the maps.

    Args:
        other (Tensor): Maps of the other side, shape (M, hw_other, d), contiguous.
        own_best (Tensor): Shape (N, M, hw), int16.
        own_grad (Tensor): Likewise, float32.
        other_best (Tensor): Shape (N, M, hw_other), int16.
        other_grad (Tensor): Likewise, float32.

    Returns:
        Tensor: Shape (N, hw, d), float32.
    """
    (num, _, hw), (num_other, hw_other, dim) = own_best.shape, other.shape
    # With few maps, each sum is split into parts, which are added in a fixed order.
    num_parts = max(1, min(num_other, PROGRAMS // 4 // max(1, num)))
    per_program = triton.cdiv(num_other, num_parts)
    num_parts = triton.cdiv(num_other, per_program)
    grad = torch.empty(num_parts, num, hw, dim, dtype=torch.float32, device=other.device)
    arrays = [values.contiguous() for values in (own_best, own_grad, other_best, other_grad)]
    channels = min(_block(dim), GRADIENT_CHANNELS)
    _gradient_kernel[num, num_parts, triton.cdiv(dim, channels)](
        other,
        *arrays,
        grad,
        num_other,
        per_program,
        hw,
        hw_other,
        dim,
        BLOCK_M=_block(hw),
        BLOCK_N=BLOCK_N,
        BLOCK_D=channels,
        PRECISION=_precision(other),
        num_warps=8,
        num_stages=2,
    )
    return grad.sum(0)


def _block(size: int) -> int:
    return max(16, triton.next_power_of_2(size))


def _channels(query: Tensor) -> int:
    """Returns how many channels of a query map (N, hw, d) are on the chip at a time, all if they fit."""
    fitting = MAX_MAP_BYTES // (_block(query.shape[1]) * query.element_size())
    return min(_block(query.shape[2]), max(16, fitting))


def _precision(maps: Tensor) -> str:
    return 'tf32x3' if maps.dtype == torch.float32 else 'ieee'


@triton.jit
def _maxima_kernel(
    query,
    gallery,
    of_query,
    of_gallery,
    query_best,
    gallery_best,
    num_gallery,
    per_program,
    hw_q,
    hw_g,
    dim,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_D: tl.constexpr,
    WHOLE: tl.constexpr,
    PRECISION: tl.constexpr,
    WITH_INDICES: tl.constexpr,
):
    q = tl.program_id(0).to(tl.int64)
    first = tl.program_id(1) * per_program
    r, s, c = tl.arange(0, BLOCK_M), tl.arange(0, BLOCK_N), tl.arange(0, BLOCK_D)
    in_q = r < hw_q
    own_rows = query + (q * hw_q + r[:, None]) * dim + c
    if WHOLE:
        own = tl.load(own_rows, mask=in_q[:, None] & (c < dim), other=0.0)
    for g in range(first, tl.minimum(first + per_program, num_gallery)):
        pair = q * num_gallery + g
        best = tl.full([BLOCK_M], float('-inf'), tl.float32)
        place = tl.zeros([BLOCK_M], tl.int32)
        for start in range(0, hw_g, BLOCK_N):
            n = start + s
            in_g = n < hw_g
            rows = gallery + ((pair - q * num_gallery) * hw_g + n[:, None]) * dim + c  # g in 64 bits
            if WHOLE:
                others = tl.load(rows, mask=in_g[:, None] & (c < dim), other=0.0)
                products = tl.dot(own, tl.trans(others), input_precision=PRECISION)
            else:
                products = tl.zeros([BLOCK_M, BLOCK_N], tl.float32)
                for channel in range(0, dim, BLOCK_D):
                    inside = c + channel < dim
                    part = tl.load(own_rows + channel, mask=in_q[:, None] & inside, other=0.0)
                    others = tl.load(rows + channel, mask=in_g[:, None] & inside, other=0.0)
                    products = tl.dot(part, tl.trans(others), products, input_precision=PRECISION)
            across = tl.where(in_g[None, :], products, float('-inf'))
            down = tl.where(in_q[:, None], products, float('-inf'))
            if WITH_INDICES:
                value, at = tl.max(across, 1, return_indices=True)
                place = tl.where(value > best, at + start, place)
                best = tl.maximum(best, value)
                value, at = tl.max(down, 0, return_indices=True)
                tl.store(gallery_best + pair * hw_g + n, at.to(tl.int16), mask=in_g)
            else:
                best = tl.maximum(best, tl.max(across, 1))
                value = tl.max(down, 0)
            tl.store(of_gallery + pair * hw_g + n, value, mask=in_g)
        tl.store(of_query + pair * hw_q + r, best, mask=in_q)
        if WITH_INDICES:
            tl.store(query_best + pair * hw_q + r, place.to(tl.int16), mask=in_q)


@triton.jit
def _gradient_kernel(
    other,
    own_best,
    own_grad,
    other_best,
    other_grad,
    grad,
    num_other,
    per_program,
    hw,
    hw_other,
    dim,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_D: tl.constexpr,
    PRECISION: tl.constexpr,
):
    i = tl.program_id(0).to(tl.int64)
    first = tl.program_id(1) * per_program
    r, s, c = tl.arange(0, BLOCK_M), tl.arange(0, BLOCK_N), tl.arange(0, BLOCK_D) + tl.program_id(2) * BLOCK_D
    inside = r < hw
    total = tl.zeros([BLOCK_M, BLOCK_D], tl.float32)
    for m in range(first, tl.minimum(first + per_program, num_other)):
        pair = i * num_other + m
        best = tl.load(own_best + pair * hw + r, mask=inside, other=-1).to(tl.int32)
        weight = tl.load(own_grad + pair * hw + r, mask=inside, other=0.0)
        for start in range(0, hw_other, BLOCK_N):
            n = start + s
            in_other = n < hw_other
            best_here = tl.load(other_best + pair * hw_other + n, mask=in_other, other=-1).to(tl.int32)
            weight_here = tl.load(other_grad + pair * hw_other + n, mask=in_other, other=0.0)
            # The gradient of the products is zero except where a maximum was.
            of_products = tl.where(best[:, None] == n[None, :], weight[:, None], 0.0)
            of_products += tl.where(best_here[None, :] == r[:, None], weight_here[None, :], 0.0)
            rows = other + ((pair - i * num_other) * hw_other + n[:, None]) * dim + c  # m in 64 bits
            maps = tl.load(rows, mask=in_other[:, None] & (c < dim), other=0.0)
            total += tl.dot(of_products.to(maps.dtype), maps, input_precision=PRECISION)
    place = tl.program_id(1).to(tl.int64) * tl.num_programs(0) + i
    tl.store(grad + (place * hw + r[:, None]) * dim + c, total, mask=inside[:, None] & (c < dim))
