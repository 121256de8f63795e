# Copyright (c) mmreid contributors. All rights reserved.
"""A filter as the condition of an SQL statement; values are parameters, never part of the text."""

import json
from typing import Any

from .entry_filter import GalleryFilter

_LISTED = 'IN (SELECT value FROM json_each(?))'


def condition_of(chosen: GalleryFilter, after: int = -1) -> tuple[str, list[Any]]:
    """Returns what follows WHERE, and its parameters; only keys above ``after``."""
    parts, values = ['key > ?'], [after]
    for column, wanted in (('key', chosen.keys), ('id', chosen.ids), ('camera', chosen.cameras)):
        if wanted is not None:
            parts.append(f'{column} {_LISTED}')
            values.append(json.dumps(wanted))
    if chosen.not_cameras is not None:
        parts.append(f'(camera IS NULL OR camera NOT {_LISTED})')
        values.append(json.dumps(chosen.not_cameras))
    for text, value in (('time >= ?', chosen.since), ('time < ?', chosen.until), ('modality = ?', chosen.modality)):
        if value is not None:
            parts.append(text)
            values.append(value)
    return ' AND '.join(parts), values
