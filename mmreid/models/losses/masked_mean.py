# Copyright (c) mmreid contributors. All rights reserved.
"""Means over a part of a tensor, without asking the device how large the part is."""

from mmengine.dist import all_reduce, get_world_size
from torch import Tensor


def masked_mean(values: Tensor, mask: Tensor, of_ranks: bool = False) -> Tensor:
    """Returns the mean of the values where the mask is true; 0, with a graph, if that is nowhere.

    With ``of_ranks``, the average over ranks, which their gradients are, is the mean over what all of them have.
    """
    count = mask.sum()
    if of_ranks and get_world_size() > 1:
        count = count.float()
        all_reduce(count, op='mean')
        return values.masked_fill(~mask, 0).sum() / count.clamp_min(1 / get_world_size())
    return values.masked_fill(~mask, 0).sum() / count.clamp_min(1)


def measured_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Returns the mean of the values where the mask is true; NaN, for nothing to measure, if that is nowhere."""
    return values.masked_fill(~mask, 0).sum() / mask.sum()
