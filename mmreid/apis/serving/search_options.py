# Copyright (c) mmreid contributors. All rights reserved.
"""What may stand behind ``/search?``."""

import difflib
import math
from collections.abc import Iterable
from dataclasses import dataclass

from ..gallery import GalleryFilter

MAX_TOPK = 200
_MANY = ('camera', 'not_camera')
_ONE = ('topk', 'box', 'since', 'until', 'modality', 'query_camera', 'query_modality', 'per_id')


@dataclass(frozen=True)
class SearchOptions:
    """What somebody asks for, beside the image.

    Attributes:
        filter (GalleryFilter): Which entries may be found.
        topk (int): Most answers.
        box (tuple[float, ...] | None): The person in the image: left, top, right, bottom in pixels.
        query_camera (str | None): Camera whose entries are not found.
        query_modality (str | None): Modality of the image, for models that tell them apart.
        per_id (str | None): ``'best'`` or ``'mean'``.
    """

    filter: GalleryFilter
    topk: int = 20
    box: tuple[float, ...] | None = None
    query_camera: str | None = None
    query_modality: str | None = None
    per_id: str | None = None


def parse_options(pairs: Iterable[tuple[str, str]]) -> SearchOptions:
    """Reads the parameters of an address; an empty one is not given.

    Args:
        pairs (Iterable[tuple[str, str]]): Names and values. ``camera`` and ``not_camera`` may come several times.

    Returns:
        SearchOptions: The options.

    Raises:
        ValueError: If a name is unknown, or a value is not possible.
    """
    many: dict[str, list[str]] = {name: [] for name in _MANY}
    one: dict[str, str] = {}
    for name, value in pairs:
        if name not in (*_MANY, *_ONE):
            close = difflib.get_close_matches(name, (*_MANY, *_ONE), 1)
            raise ValueError(
                f'there is no option {name!r:.60}{f"; did you mean {close[0]}?" if close else ""} Options: '
                f'{", ".join((*_ONE, *_MANY))}'
            )
        if value and name in _MANY:
            many[name].append(value)
        elif value:
            one[name] = value
    chosen = GalleryFilter(
        cameras=many['camera'] or None,
        not_cameras=many['not_camera'] or None,
        since=_number('since', one),
        until=_number('until', one),
        modality=one.get('modality'),
    )
    return SearchOptions(
        chosen,
        _topk(one),
        _box(one),
        one.get('query_camera'),
        one.get('query_modality'),
        one.get('per_id'),
    )


def _topk(given: dict[str, str]) -> int:
    text = given.get('topk', '20')
    if not text.isdecimal() or not text.isascii() or len(text) > 9 or not 1 <= int(text) <= MAX_TOPK:
        raise ValueError(f'topk={text!r:.60} is not a whole number from 1 to {MAX_TOPK}')
    return int(text)


def _box(given: dict[str, str]) -> tuple[float, ...] | None:
    text = given.get('box')
    if text is None:
        return None
    try:
        box = tuple(float(part) for part in text.split(','))
    except ValueError:
        box = ()
    if len(box) != 4:
        raise ValueError(f'box={text!r:.60} is not left,top,right,bottom in pixels')
    return box


def _number(name: str, given: dict[str, str]) -> float | None:
    text = given.get(name)
    try:
        value = None if text is None else float(text)
    except ValueError:
        value = math.nan
    if value is not None and not math.isfinite(value):
        raise ValueError(f'{name}={text!r:.60} is not a number of seconds since 1970')
    return value
