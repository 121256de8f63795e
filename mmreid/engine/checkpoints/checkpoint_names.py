# Copyright (c) mmreid contributors. All rights reserved.
"""Recognizes the files that a training names by a template such as ``epoch_{}.pth``."""

import os.path as osp
import re

from .memory_shards import SHARD_NAME

_FIELD = re.compile(r'\{[^{}]*\}')


def numbered(filename_tmpl: str) -> str:
    """Returns the regular expression of the names that a template such as ``epoch_{:03d}.pth`` makes of numbers."""
    return r' *\d+'.join(re.escape(part) for part in _FIELD.split(filename_tmpl))


def stem_of(name: str) -> str:
    """Returns ``epoch_3`` for ``epoch_3.pth`` and for its memory shard ``epoch_3.memory-0of2.pth``."""
    shard = SHARD_NAME.fullmatch(name)
    return shard['checkpoint'] if shard else osp.splitext(name)[0]


def is_checkpoint_of(name: str, filename_tmpl: str) -> bool:
    """Whether a file name follows a template, or is a memory shard of such a checkpoint."""
    ending = osp.splitext(_FIELD.sub('0', filename_tmpl))[1]
    checkpoint = stem_of(name) + ending if SHARD_NAME.fullmatch(name) else name
    return re.fullmatch(numbered(filename_tmpl), checkpoint) is not None
