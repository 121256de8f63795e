# Copyright (c) mmreid contributors. All rights reserved.
"""What a gallery knows about an image: who, where, when."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from numbers import Integral
from typing import Any

from mmreid.structures import MODALITIES

MAX_TEXT, MAX_EXTRA = 1000, 65_536  # characters
_NO_TEXT = re.compile(r'[\x00-\x1f\ud800-\udfff]')  # control characters, and what UTF-8 cannot write


@dataclass(frozen=True)
class NewEntry:
    """An image to be added.

    Args:
        id (str | int, optional): Who it shows: a person or a tracklet. Several entries may have one id.
        camera (str | int, optional): The camera.
        time (float | datetime, optional): Seconds since 1970.
        modality (str, optional): ``'visible'`` or ``'infrared'``.
        image (str, optional): The image file, or another name.
        extra (dict, optional): Anything else that JSON can hold.

    Raises:
        ValueError: If a value is not possible.
    """

    id: str | None = None
    camera: str | None = None
    time: float | None = None
    modality: str | None = None
    image: str | None = None
    extra: dict | None = None

    def __post_init__(self) -> None:
        for name in ('id', 'camera', 'image'):
            object.__setattr__(self, name, text_of(getattr(self, name), name))
        object.__setattr__(self, 'time', seconds_of(self.time))
        if self.modality not in (None, *MODALITIES):
            raise ValueError(f'modality={self.modality!r:.60} is unknown; use {" or ".join(MODALITIES)}')
        object.__setattr__(self, 'extra', _plain(self.extra))


@dataclass(frozen=True)
class GalleryEntry(NewEntry):
    """An entry of a gallery: a :class:`NewEntry` with its ``key`` (int), which is never used again."""

    key: int = 0

    def require_same(self, entry: NewEntry) -> None:
        """Raises ValueError unless ``entry``, of the same image, says the same; where its file is does not count."""
        for name in ('id', 'camera', 'time', 'modality', 'extra'):
            known, new = getattr(self, name), getattr(entry, name)
            if known != new:
                raise ValueError(
                    f'{entry.image or "an image"} is in the gallery already, as entry {self.key} '
                    f'({self.image or "without a name"}) with {name} {known!r:.60} instead of {new!r:.60}; leave '
                    'out one of two equal files, or delete that entry first'
                )


@dataclass(frozen=True)
class GalleryAnswer:
    """One answer of a search.

    Attributes:
        score (float): Higher is more similar. With ``per_id='mean'``, the mean of all entries of the identity.
        entry (GalleryEntry): What was found; of an identity, its entry with the best score.
        count (int): How many entries stand behind the answer: 1, or those of the identity that passed the filter.
    """

    score: float
    entry: GalleryEntry
    count: int = 1


def text_of(value: Any, what: str) -> str | None:
    """Checks a short text; a whole number becomes one."""
    if value is None:
        return None
    if isinstance(value, Integral) and not isinstance(value, bool):
        value = str(int(value))
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT or _NO_TEXT.search(value):
        raise ValueError(
            f'{what}={value!r:.60} must be a text of 1 to {MAX_TEXT} characters of UTF-8 without line breaks, or a '
            'whole number'
        )
    return str(value)


def seconds_of(value: Any, what: str = 'time') -> float | None:
    """Checks a time: seconds since 1970, or a datetime (without time zone: local time)."""
    if value is None:
        return None
    try:
        if isinstance(value, datetime):
            return value.timestamp()
        seconds = math.nan if isinstance(value, (bool, str)) else float(value)
    except (TypeError, ValueError, OverflowError):
        seconds = math.nan
    if not math.isfinite(seconds):
        raise ValueError(f'{what}={value!r:.60} must be a number of seconds since 1970, or a datetime')
    return seconds


def _plain(extra: Any) -> dict | None:
    """Returns a copy of ``extra`` as JSON gives it back."""
    if extra is None:
        return None
    try:
        text = json.dumps(extra, allow_nan=False, ensure_ascii=False) if isinstance(extra, Mapping) else ''
        plain = json.loads(text.encode())  # what UTF-8 cannot write is refused
    except (TypeError, ValueError, RecursionError):
        text = ''
    if not 0 < len(text) <= MAX_EXTRA:
        raise ValueError(f'extra={_shown(extra)} must be a dict that JSON can hold in {MAX_EXTRA} characters')
    return plain


def _shown(value: Any) -> str:
    try:
        return f'{value!r:.60}'
    except (ValueError, RecursionError):  # a number of thousands of digits, or a dict that holds itself
        return f'a {type(value).__name__}'
