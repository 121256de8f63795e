# Copyright (c) mmreid contributors. All rights reserved.
"""The inner operation of query-adaptive convolution: the best match of each location of two feature maps."""

from collections.abc import Iterable, Sequence
from functools import cache, partial
from math import isqrt
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from mmreid.utils.threads import share

Tile = tuple[slice, slice]

# Products of one tile: on a CPU they stay in its cache (3 x 4 maps of 24 x 8), on a GPU they fill it.
CPU_TILE_BYTES = 2**21
GPU_TILE_BYTES = 2**27
LANES = 32  # numbers of which torch finds maxima at once, on a CPU


def location_maxima(query: Tensor, gallery: Tensor) -> tuple[Tensor, Tensor]:
    """Finds the best match of each location of each query map in each gallery map, and the reverse.

    Only the inner products (hw x hw) of a few maps, a tile, are in memory at a time, forward and backward. The gradient
    flows to the best location, the first one among equals. Maps on a GPU use the Triton kernels of
    ``location_maxima_triton``, if Triton is installed.

    Args:
        query (Tensor): Maps, shape (Q, d, hw_q); not copied if the channels are last in memory.
        gallery (Tensor): Maps, shape (G, d, hw_g), of the same type.

    Returns:
        tuple[Tensor, Tensor]: At least float32: the best product of each query location with any gallery location,
        (Q, G, hw_q), and of each gallery location with any query location, (Q, G, hw_g).
    """
    if torch.is_grad_enabled() and (query.requires_grad or gallery.requires_grad):
        return _LocationMaxima.apply(query, gallery)
    return _maxima(_rows(query), _rows(gallery))[:2]


class _LocationMaxima(torch.autograd.Function):
    """Saves the locations of the maxima for the backward, instead of the products."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, gallery: Tensor) -> tuple[Tensor, Tensor]:
        rows = _rows(query), _rows(gallery)
        of_query, of_gallery, query_best, gallery_best = _maxima(*rows, with_indices=True)
        ctx.save_for_backward(*rows, query_best, gallery_best)
        return of_query, of_gallery

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_of_query: Tensor, grad_of_gallery: Tensor) -> tuple[Tensor | None, Tensor | None]:
        query, gallery, query_best, gallery_best = ctx.saved_tensors
        of_query, of_gallery = (query_best, grad_of_query), (gallery_best, grad_of_gallery)
        swapped = [tuple(value.transpose(0, 1) for value in side) for side in (of_gallery, of_query)]
        need_query, need_gallery = ctx.needs_input_grad
        grad_query = _gradient(gallery, *of_query, *of_gallery).to(query.dtype) if need_query else None
        grad_gallery = _gradient(query, *swapped[0], *swapped[1]).to(gallery.dtype) if need_gallery else None
        return tuple(None if grad is None else grad.transpose(1, 2) for grad in (grad_query, grad_gallery))


def _maxima(query: Tensor, gallery: Tensor, with_indices: bool = False) -> tuple[Tensor | None, ...]:
    """Returns the maxima of maps (N, hw, d) and, on request, their locations; int16 holds those of any map."""
    if _fuses(query, gallery):
        from .location_maxima_triton import fused_maxima

        return fused_maxima(query, gallery, with_indices)
    shape, hw_q, hw_g = (len(query), len(gallery)), query.shape[1], gallery.shape[1]
    dtype = torch.promote_types(query.dtype, torch.float32)
    results = [torch.empty(*shape, hw, dtype=dtype, device=query.device) for hw in (hw_q, hw_g)]
    results += [torch.empty_like(x, dtype=torch.int16) if with_indices else None for x in results]
    tiles = _tiles(query, gallery)
    fill = partial(_fill, query, gallery, results)
    if query.device.type == 'cpu':
        share(fill, tiles)
    else:
        fill(tiles)
    return tuple(results)


def _fill(query: Tensor, gallery: Tensor, results: Sequence[Tensor | None], tiles: Iterable[Tile]) -> None:
    """Writes the maxima of some tiles of maps (N, hw, d), and on request their locations, with one buffer."""
    of_query, of_gallery, query_best, gallery_best = results
    buffer = scratch = columns = query.new_empty(0)
    last = None
    for q, g in tiles:
        by_location = _by_location(gallery, g)
        if g != last:
            last, columns = g, (gallery[g].transpose(0, 1) if by_location else gallery[g]).flatten(0, 1).t()
        rows = query[q].flatten(0, 1)
        size = len(rows) * columns.shape[1]
        if len(buffer) < size:
            buffer = query.new_empty(size)
            scratch = buffer if query_best is None else torch.empty_like(buffer)
        torch.mm(rows, columns, out=buffer[:size].view(len(rows), -1))
        shape, axis = (q.stop - q.start, query.shape[1], -1, gallery.shape[1]), 3
        if by_location:
            shape, axis = (*shape[:2], gallery.shape[1], -1), 2
        products, spare = buffer[:size].view(shape), scratch[:size].view(shape)
        best_q, best_g = products.amax(axis), products.amax(1)
        of_query[q, g], of_gallery[q, g] = best_q.mT, best_g.mT if by_location else best_g
        if query_best is not None:
            query_best[q, g] = _first(products, best_q, axis, spare).mT
            places = _first(products, best_g, 1, spare)
            gallery_best[q, g] = places.mT if by_location else places


def _by_location(gallery: Tensor, maps: slice) -> bool:
    """Returns whether products are in the order of locations, then maps, not of maps, then locations.

    torch, on a CPU, finds the maxima of ``LANES`` adjacent columns at once, but is slow along rows of another length.
    """
    return gallery.device.type == 'cpu' and gallery.shape[1] % LANES != 0 and (maps.stop - maps.start) % LANES == 0


def _first(products: Tensor, best: Tensor, dim: int, spare: Tensor) -> Tensor:
    """Finds the first location of the maximum along ``dim``; much faster on a CPU than ``max`` with indices."""
    length = products.shape[dim]
    shape = [1] * 4
    shape[dim] = length
    torch.eq(products, best.unsqueeze(dim), out=spare)
    # Counted from the end, so that the first is the largest; half precision holds integers up to 256 only.
    from_end = torch.arange(
        length, 0, -1, device=products.device, dtype=torch.promote_types(spare.dtype, torch.float32)
    )
    places = spare.mul_(from_end.view(shape)) if spare.dtype == from_end.dtype else spare * from_end.view(shape)
    return (length - places.amax(dim)).clamp_max_(length - 1)  # if all are NaN, no location holds the maximum


def _gradient(other: Tensor, own_best: Tensor, own_grad: Tensor, other_best: Tensor, other_grad: Tensor) -> Tensor:
    """Computes the gradient of one side, (N, hw, d), from maps of the other, (M, hw_other, d), and best matches."""
    # own_best, own_grad: (N, M, hw); other_best, other_grad: (N, M, hw_other); where maxima are, and their gradients.
    (num, hw, dim), (num_other, hw_other) = (len(own_best), own_best.shape[2], other.shape[2]), other.shape[:2]
    if _fuses(other, other):
        from .location_maxima_triton import fused_gradient

        return fused_gradient(other, own_best, own_grad, other_best, other_grad)
    grad = own_grad.new_zeros(num, hw, dim)
    if not num_other:
        return grad
    rows = other.reshape(-1, dim).to(own_grad.dtype)
    first_row = torch.arange(num_other, device=other.device) * hw_other

    def add(maps: Iterable[slice]) -> None:
        for part in maps:
            # Each location adds the locations where its maximum was, ...
            bags = (own_best[part] + first_row[:, None]).mT.reshape(-1, num_other)
            weights = own_grad[part].mT.reshape(-1, num_other)
            total = F.embedding_bag(bags, rows, mode='sum', per_sample_weights=weights)
            # ... and those whose maximum was here.
            location = torch.arange(len(total), device=other.device)
            found_in, order = (other_best[part] + location[::hw, None, None]).flatten().sort(stable=True)
            starts, weights = torch.searchsorted(found_in, location), other_grad[part].flatten()[order]
            total += F.embedding_bag(order % len(rows), rows, starts, mode='sum', per_sample_weights=weights)
            grad[part] = total.view(-1, hw, dim)

    if other.device.type != 'cpu':
        add([slice(num)])
        return grad
    step = max(1, num // (4 * torch.get_num_threads()))
    share(add, [slice(start, min(start + step, num)) for start in range(0, num, step)])
    return grad


def _fuses(query: Tensor, gallery: Tensor) -> bool:
    """Returns whether the Triton kernels can take these maps (N, hw, d)."""
    if query.device.type != 'cuda' or query.dtype == torch.float64 or not _has_triton():
        return False
    from .location_maxima_triton import fits

    return len(query) > 0 and len(gallery) > 0 and fits(query, gallery)


@cache
def _has_triton() -> bool:
    try:
        import triton  # noqa: F401
    except ImportError:
        return False
    return True


def _rows(maps: Tensor) -> Tensor:
    """Turns maps (N, d, hw) into locations (N, hw, d)."""
    return maps.transpose(1, 2).contiguous()


def _tiles(query: Tensor, gallery: Tensor) -> list[Tile]:
    """Splits all pairs of maps (N, hw, d) into tiles whose products take a bounded number of bytes."""
    size = max(1, query.shape[1] * gallery.shape[1] * query.element_size())
    pairs = max(1, (CPU_TILE_BYTES if query.device.type == 'cpu' else GPU_TILE_BYTES) // size)
    height = max(1, min(len(query), isqrt(pairs)))
    width = max(1, min(len(gallery), pairs // height))
    if len(gallery) >= LANES and _by_location(gallery, slice(0, LANES)):
        width = max(LANES, width // LANES * LANES)
        height = max(1, min(len(query), pairs // width))
    return [
        (slice(q, min(q + height, len(query))), slice(g, min(g + width, len(gallery))))
        for g in range(0, len(gallery), width)
        for q in range(0, len(query), height)
    ]
