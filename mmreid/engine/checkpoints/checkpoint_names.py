# Copyright (c) mmreid contributors. All rights reserved.
"""Recognizes the files that a training names by a template such as ``epoch_{}.pth``."""

import os.path as osp
import re

from .memory_shards import SHARD_NAME

_FIELD = re.compile(r'\{[^{}]*\}')


def numbered(filename_tmpl: str) -> str:
    """Gives the regular expression of the names that a template makes of numbers.

    Args:
        filename_tmpl (str): The template, with ``{}``, ``{:03d}`` or the like for the number.

    Returns:
        str: The expression, for ``re.fullmatch``.
    """
    return r' *\d+'.join(re.escape(part) for part in _FIELD.split(filename_tmpl))


def stem_of(name: str) -> str:
    """Gives the name of a checkpoint without its ending; the parts of its memory have the same.

    Args:
        name (str): Name of a file.

    Returns:
        str: ``epoch_3`` for ``epoch_3.pth`` and ``epoch_3.memory-0of2.pth``.
    """
    shard = SHARD_NAME.fullmatch(name)
    return shard['checkpoint'] if shard else osp.splitext(name)[0]


def is_checkpoint_of(name: str, filename_tmpl: str) -> bool:
    """Tells whether a file has a name of a template, or is a part of the memory of such a checkpoint.

    Args:
        name (str): Name of the file.
        filename_tmpl (str): The template.

    Returns:
        bool: True if it has, or is.
    """
    ending = osp.splitext(_FIELD.sub('0', filename_tmpl))[1]
    checkpoint = stem_of(name) + ending if SHARD_NAME.fullmatch(name) else name
    return re.fullmatch(numbered(filename_tmpl), checkpoint) is not None
