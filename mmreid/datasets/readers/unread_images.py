# Copyright (c) mmreid contributors. All rights reserved.
"""Warns about images in formats that are not read."""

import logging
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from mmengine.logging import print_log

from .image_files import IMAGE_SUFFIXES, is_ghost

UNREAD_SUFFIXES = (
    '.heic', '.heif', '.gif', '.jfif', '.jpe', '.jp2', '.avif', '.ppm', '.pgm', '.raw', '.dng', '.cr2', '.nef', '.arw',
)  # fmt: skip


def warn_of_unread(place: str | Path, folders: Iterable[str | Path]) -> None:
    """Warns about images directly inside ``folders`` whose format is not read; ``place`` is named in the message."""
    counts: Counter[str] = Counter()
    first = ''
    for folder in folders:
        for name in sorted(os.listdir(folder)):
            suffix = os.path.splitext(name)[1].lower()
            if suffix in UNREAD_SUFFIXES and not is_ghost(name):
                counts[suffix] += 1
                first = first or os.path.join(folder, name)
    if counts:
        kinds = ', '.join(f'{count} {suffix}' for suffix, count in sorted(counts.items()))
        print_log(
            f'{place}: {counts.total()} images are of kinds that are not read and are left out ({kinds}), the first '
            f'is {first}; convert them to one of {", ".join(IMAGE_SUFFIXES)}',
            logger='current',
            level=logging.WARNING,
        )
