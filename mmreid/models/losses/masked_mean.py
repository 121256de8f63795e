# Copyright (c) mmreid contributors. All rights reserved.
"""Means over a part of a tensor, without asking the device how large the part is."""

from torch import Tensor


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Returns the mean of the values where the mask is true; 0, with a graph, if that is nowhere."""
    return values.masked_fill(~mask, 0).sum() / mask.sum().clamp_min(1)


def measured_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Returns the mean of the values where the mask is true; NaN, for nothing to measure, if that is nowhere."""
    return values.masked_fill(~mask, 0).sum() / mask.sum()
