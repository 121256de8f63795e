# Copyright (c) mmreid contributors. All rights reserved.
"""Counts repetitions, so that repeated slots can be written in order."""

import torch


def occurrence(numbers: torch.Tensor) -> torch.Tensor:
    """Counts how often each number (N,) occurred before; shape (N,), int64.

    Examples:
        >>> occurrence(torch.tensor([5, 7, 5, 5, 7]))
        tensor([0, 0, 1, 2, 1])
    """
    order = numbers.argsort(stable=True)
    sorted_numbers = numbers[order]
    position = torch.arange(len(numbers), device=numbers.device)
    starts = torch.ones_like(sorted_numbers, dtype=torch.bool)
    starts[1:] = sorted_numbers[1:] != sorted_numbers[:-1]
    group_start = torch.where(starts, position, torch.zeros_like(position)).cummax(0).values
    return torch.empty_like(position).index_copy_(0, order, position - group_start)
