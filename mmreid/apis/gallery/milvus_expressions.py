# Copyright (c) mmreid contributors. All rights reserved.
"""A filter as an expression of Milvus; texts are quoted as JSON does it, so none can end its quotation."""

import json
from collections.abc import Iterable

from .entry_filter import GalleryFilter


def expression_of(chosen: GalleryFilter, not_camera: str | None = None) -> str:
    """Returns the expression; an empty one chooses all.

    Args:
        chosen (GalleryFilter): The filter.
        not_camera (str, optional): One more camera whose entries are not chosen. Defaults to None.

    Returns:
        str: The expression. What an entry does not have is an empty text, and ``timed`` is false without a time.
    """
    parts = [
        f'{field} in {texts(wanted)}'
        for field, wanted in (('id', chosen.ids), ('camera', chosen.cameras))
        if wanted is not None
    ]
    if chosen.keys is not None:
        parts.append(f'key in {json.dumps(list(chosen.keys))}')
    if chosen.not_cameras is not None:
        parts.append(f'camera not in {texts(chosen.not_cameras)}')
    if not_camera is not None:
        parts.append(f'camera not in {texts([not_camera])}')
    for comparison, value in (('>=', chosen.since), ('<', chosen.until)):
        if value is not None:
            parts.append(f'timed == true and time {comparison} {value!r}')
    if chosen.modality is not None:
        parts.append(f'modality in {texts([chosen.modality])}')
    return ' and '.join(f'({part})' for part in parts)


def texts(values: Iterable[str]) -> str:
    """Returns a list of quoted texts."""
    return json.dumps(list(values), ensure_ascii=False)
