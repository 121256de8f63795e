# Copyright (c) mmreid contributors. All rights reserved.
"""Files with the same bytes, found by size first and by hash then."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Sequence


def find_copies(paths: Sequence[str]) -> list[list[int]]:
    """Finds images whose files have the same content.

    Args:
        paths (Sequence[str]): The files, N; missing ones, and several mentions of one file, are no copies.

    Returns:
        list[list[int]]: Groups of at least two indices.
    """
    first = {path: index for index, path in reversed(list(enumerate(paths)))}
    of_size = _groups(first.items(), _size)
    same_size = [(paths[index], index) for group in of_size for index in group]
    return sorted(_groups(same_size, _hash))


def _groups(items: Sequence[tuple[str, int]], key_of) -> list[list[int]]:
    found: dict[object, list[int]] = defaultdict(list)
    for path, index in items:
        key = key_of(path)
        if key is not None:
            found[key].append(index)
    return [sorted(group) for group in found.values() if len(group) > 1]


def _size(path: str) -> int | None:
    return os.path.getsize(path) if os.path.isfile(path) else None


def _hash(path: str) -> bytes | None:
    try:
        with open(path, 'rb') as file:
            return hashlib.blake2b(file.read()).digest()
    except OSError:
        return None
