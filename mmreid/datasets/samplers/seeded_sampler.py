# Copyright (c) mmreid contributors. All rights reserved.
"""What a batch sampler asks of the ``sampler`` beside it in the dataloader config."""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class SeededSampler(Protocol):
    """A sampler that carries data set, seed and epoch, such as MMEngine's ``DefaultSampler``."""

    dataset: Any
    seed: int
    epoch: int
    set_epoch: Callable[[int], None]


def check_seeded(sampler: Any, needed_by: str) -> None:
    """Raises a TypeError if ``sampler`` does not carry what the batch sampler named ``needed_by`` takes from it."""
    if not isinstance(sampler, SeededSampler):
        raise TypeError(
            f'{needed_by} takes data set, seed and epoch from the sampler beside it, which a {type(sampler).__name__} '
            "does not have; use sampler=dict(type='DefaultSampler', shuffle=True)"
        )
