# Copyright (c) mmreid contributors. All rights reserved.
"""Which entries of a gallery are meant."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from numbers import Integral
from typing import Any

from .entries import MODALITIES, seconds_of, text_of


@dataclass(frozen=True)
class GalleryFilter:
    """Chooses entries; what is None does not matter. An entry without a time or camera is in no window and no list.

    Args:
        keys (Iterable[int], optional): Only these entries.
        ids (str | Iterable[str], optional): Only entries of these identities.
        cameras (str | Iterable[str], optional): Only entries of these cameras.
        not_cameras (str | Iterable[str], optional): No entries of these cameras.
        since (float | datetime, optional): Only entries of this time or later.
        until (float | datetime, optional): Only entries before this time.
        modality (str, optional): Only entries of this modality.

    Raises:
        ValueError: If a value is not possible.
    """

    keys: tuple[int, ...] | None = None
    ids: tuple[str, ...] | None = None
    cameras: tuple[str, ...] | None = None
    not_cameras: tuple[str, ...] | None = None
    since: float | None = None
    until: float | None = None
    modality: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, 'keys', _keys(self.keys))
        for name in ('ids', 'cameras', 'not_cameras'):
            object.__setattr__(self, name, _texts(getattr(self, name), name))
        for name in ('since', 'until'):
            object.__setattr__(self, name, seconds_of(getattr(self, name), name))
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise ValueError(f'since={self.since:g} is not before until={self.until:g}; nothing is in between')
        if self.modality not in (None, *MODALITIES):
            raise ValueError(f'modality={self.modality!r:.60} is unknown; use {" or ".join(MODALITIES)}')

    @property
    def is_empty(self) -> bool:
        """bool: Whether it chooses all entries."""
        return all(getattr(self, field.name) is None for field in fields(self))


def _texts(values: Any, what: str) -> tuple[str, ...] | None:
    if values is None:
        return None
    many = [values] if isinstance(values, (str, Integral)) else values
    if not isinstance(many, Iterable):
        raise ValueError(f'{what}={values!r:.60} must be a text or several')
    listed = [text_of(value, what) for value in many]
    if None in listed:
        raise ValueError(f'{what} holds None; entries that have none cannot be listed')
    return tuple(dict.fromkeys(listed))


def _keys(values: Any) -> tuple[int, ...] | None:
    if values is None:
        return None
    many = list(values) if isinstance(values, Iterable) else [values]
    for value in many:
        if isinstance(value, bool) or not isinstance(value, Integral) or not 0 <= value < 2**63:
            raise ValueError(f'keys: {value!r:.60} is not the key of an entry, a whole number')
    return tuple(map(int, many))


#: Chooses all entries.
ALL = GalleryFilter()
