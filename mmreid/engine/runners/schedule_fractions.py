# Copyright (c) mmreid contributors. All rights reserved.
"""Schedules whose begin, end and milestones are fractions of the run."""

from typing import Any

from mmengine.runner import BaseLoop, IterBasedTrainLoop

from mmreid.utils.run_fraction import count_of_run

KEYS = ('begin', 'end', 'milestones')


def resolve_fractions(schedule: Any, loop: BaseLoop, key: str = 'param_scheduler') -> Any:
    """Counts ``begin``, ``end`` and ``milestones`` that are floats in epochs or iterations of the training.

    From ``begin`` to ``end`` there is at least one, however short the training is.

    Args:
        schedule (Any): ``param_scheduler`` of a config; it is not changed.
        loop (BaseLoop): The loop of the training.
        key (str): The dotted key of ``schedule``, for messages. Defaults to ``'param_scheduler'``.

    Returns:
        Any: The same with whole numbers.

    Raises:
        ValueError: If a float is not between 0 and 1, a schedule does not end after its begin, or counts epochs in an
            iteration-based loop.
    """
    if isinstance(schedule, dict) and 'type' in schedule:
        return _resolved(schedule, loop, key)
    if isinstance(schedule, dict):
        return {name: resolve_fractions(entry, loop, f'{key}.{name}') for name, entry in schedule.items()}
    if isinstance(schedule, (list, tuple)):
        return [resolve_fractions(entry, loop, f'{key}.{number}') for number, entry in enumerate(schedule)]
    return schedule


def _resolved(scheduler: dict, loop: BaseLoop, key: str) -> dict:
    given = {name: scheduler[name] for name in KEYS if name in scheduler}
    relative = {name for name, value in given.items() if any(isinstance(each, float) for each in _listed(value))}
    if not relative:
        return scheduler
    by_epoch = scheduler.get('by_epoch', True)
    if by_epoch and isinstance(loop, IterBasedTrainLoop):
        raise ValueError(
            f'{key}.{min(relative)}={given[min(relative)]} is a fraction of the epochs, which an iteration-based loop '
            'does not have; set by_epoch=False'
        )
    length = loop.max_epochs if by_epoch else loop.max_iters
    counts = {
        name: [count_of_run(each, length, f'{key}.{name}') for each in _listed(value)] for name, value in given.items()
    }
    counts.update((name, counts[name][0]) for name in ('begin', 'end') if name in counts)
    begin, end = given.get('begin', 0), given.get('end', 1.0)
    if isinstance(end, float) and (isinstance(begin, float) or begin == 0):
        if begin >= end:
            raise ValueError(f'{key} begins at {begin} of the run, not before its end={end}; give it a later end')
        counts['end'] = max(counts.get('end', length), 1)
        counts['begin'] = min(counts.get('begin', 0), counts['end'] - 1)
    return {**scheduler, **counts}


def _listed(value: Any) -> list:
    return list(value) if isinstance(value, (list, tuple)) else [value]
