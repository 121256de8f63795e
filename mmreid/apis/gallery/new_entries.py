# Copyright (c) mmreid contributors. All rights reserved.
"""Turns what a user gives for many images, one value for all or one for each, into entries."""

from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import datetime
from typing import Any

import numpy as np

from .entries import NewEntry

_ONE = (str, int, float, datetime, Mapping, np.generic)


def new_entries(count: int, images: Sequence[str] | None, **facts: Any) -> list[NewEntry]:
    """Describes images.

    Args:
        count (int): How many.
        images (Sequence[str] | None): Their names.
        **facts (Any): ``ids``, ``cameras``, ``times``, ``modality`` and ``extra``: a value for all, or one for each.

    Returns:
        list[NewEntry]: The entries.

    Raises:
        ValueError: If there are more or fewer values than images, or one is not possible.
    """
    columns = [column_of(count, name, value) for name, value in facts.items()]
    rows = zip(*columns, images or [None] * count, strict=True)
    return [
        NewEntry(id=id_, camera=camera, time=time, modality=modality, image=image, extra=extra)
        for id_, camera, time, modality, extra, image in rows
    ]


def column_of(count: int, name: str, value: Any) -> list[Any]:
    """Returns ``count`` values: one for all, or one for each; raises ValueError for another number."""
    if value is None or isinstance(value, _ONE):
        return [value] * count
    if not isinstance(value, Iterable) or isinstance(value, Set):
        raise ValueError(f'{name}={value!r:.60} must be one value, or a list of them in the order of the images')
    values = value.tolist() if isinstance(value, np.ndarray) else list(value)
    if len(values) != count:
        raise ValueError(f'{name} has {len(values)} values for {count} images; give one for each, or a single one')
    return values
