# Copyright (c) mmreid contributors. All rights reserved.
"""Finds schedules that were written for a longer training."""

from collections.abc import Iterator
from typing import Any


def late_end(param_scheduler: Any, max_epochs: int, max_iters: int) -> str | None:
    """Finds a schedule that ends after the training, as when only ``max_epochs`` was lowered.

    Args:
        param_scheduler (Any): ``param_scheduler`` of a config.
        max_epochs (int): Epochs of the training.
        max_iters (int): Iterations of the training.

    Returns:
        str, optional: One sentence about the schedule that ends last, None if all end in time.
    """
    late = []
    for key, scheduler in _schedulers(param_scheduler, 'param_scheduler'):
        by_epoch = scheduler.get('by_epoch', True)
        length, unit = (max_epochs, 'epoch') if by_epoch else (max_iters, 'iteration')
        milestones = scheduler.get('milestones') or [0]
        for name, end in (('end', scheduler.get('end', 0)), ('milestones', max(milestones))):
            if end > length:
                late.append((end / length, f'{key}.{name} of {scheduler["type"]}', f'{unit} {end}', f'{unit} {length}'))
    if not late:
        return None
    _, where, end, length = max(late)
    return (
        f'the schedule ends at {end} ({where}), training at {length}, so the learning rates never reach their '
        'final values; shorten param_scheduler as well'
    )


def _schedulers(node: Any, key: str) -> Iterator[tuple[str, dict]]:
    """Finds the configs of schedulers and their dotted keys; several optimizers have a dict of lists."""
    if isinstance(node, dict) and 'type' in node:
        yield key, node
    elif isinstance(node, (dict, list, tuple)):
        for name, entry in node.items() if isinstance(node, dict) else enumerate(node):
            yield from _schedulers(entry, f'{key}.{name}')
