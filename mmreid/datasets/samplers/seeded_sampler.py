# Copyright (c) mmreid contributors. All rights reserved.
"""What a batch sampler asks of the ``sampler`` beside it."""


def check_seeded(sampler, needed_by: str) -> None:
    """Makes sure that a sampler carries what a batch sampler needs of it: data set, seed and epoch.

    Args:
        sampler (Sampler): The ``sampler`` of the dataloader config.
        needed_by (str): Name of the batch sampler, for the error.

    Raises:
        TypeError: If one of them is missing.
    """
    missing = [name for name in ('dataset', 'seed', 'epoch', 'set_epoch') if not hasattr(sampler, name)]
    if missing:
        raise TypeError(
            f'{needed_by} takes data set, seed and epoch from the sampler beside it, but a {type(sampler).__name__} '
            f"has no {' and no '.join(missing)}; use sampler=dict(type='DefaultSampler', shuffle=True)"
        )
