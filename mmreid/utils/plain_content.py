# Copyright (c) mmreid contributors. All rights reserved.
"""Finds what a checkpoint may not hold even if loading it runs no code: oversized and endlessly nested content."""

import mmap
import os
import re
import zipfile
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

MAX_DEPTH = 64
MAX_ENTRIES = 20_000_000
# torch lets a pickle call bytearray, which allocates as much memory as a number in the file says.
_BYTEARRAY = re.compile(rb'c(__builtin__|builtins)\nbytearray\n')
_LEAVES = (str, int, float, bool, type(None), bytes)


class _Fault(Exception):
    """Why content is refused."""


def file_fault(path: str | os.PathLike, is_zip: bool) -> str | None:
    """Inspects a file of ``torch.save`` before it is loaded.

    Args:
        path (str or PathLike): The file; not empty.
        is_zip (bool): Whether it is a zip file, whose parts ``torch.save`` does not compress, or of the older format.

    Returns:
        str or None: What is wrong; None if nothing.
    """
    asks = 'it asks for a bytearray, which may take any amount of memory'
    if not is_zip:
        with open(path, 'rb') as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return asks if _BYTEARRAY.search(content) else None
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
        claimed, size = sum(part.file_size for part in parts), os.path.getsize(path)
        if claimed > size:
            return f'its parts claim {claimed} bytes in a file of {size}, where torch.save compresses nothing'
        pickles = [part for part in parts if part.filename.endswith('.pkl')]
        return asks if any(_BYTEARRAY.search(archive.read(part)) for part in pickles) else None


def content_fault(content: Any, size: int) -> str | None:
    """Finds tensors that claim more bytes than their file has, and endless nesting; returns what and where, or None."""
    try:
        _count(content, 'it', size, 0, {})
    except _Fault as fault:
        return str(fault)
    return None


def _count(value: Any, place: str, size: int, depth: int, known: dict[int, int]) -> int:
    """Counts entries as often as they are reached, because a few lists that hold each other are very many entries."""
    if id(value) in known:
        return known[id(value)]
    if depth > MAX_DEPTH:
        raise _Fault(f'it is nested deeper than {MAX_DEPTH} levels')
    count = 1
    if isinstance(value, Tensor):
        _check_tensor(value, place, size)
    elif isinstance(value, np.ndarray):
        if value.size > size:
            raise _Fault(f'{place} is an array of {value.size} entries in a file of {size} bytes')
    else:
        children = _children(value)
        count += len(children)
        for key, child in children:
            if not isinstance(child, _LEAVES):
                count += _count(child, f'{place}[{_name(key)}]', size, depth + 1, known)
            if count > MAX_ENTRIES:
                raise _Fault(f'it has more than {MAX_ENTRIES} entries')
    known[id(value)] = count
    return count


def _children(value: Any) -> Collection[tuple[Any, Any]]:
    if isinstance(value, Mapping):
        return [*value.items(), *((key, key) for key in value if not isinstance(key, _LEAVES))]
    if isinstance(value, (list, tuple)):
        return list(enumerate(value))
    if isinstance(value, (set, frozenset)):
        return [(0, child) for child in value]
    return getattr(value, '__dict__', {}).items()  # any object of a safe class, with or without attributes


def _name(key: Any) -> str:
    return f'{key!r:.60}' if isinstance(key, (str, int)) else type(key).__name__


def _check_tensor(value: Tensor, place: str, size: int) -> None:
    if (
        type(value) not in (Tensor, nn.Parameter)
        or value.layout != torch.strided
        or value.is_meta
        or value.is_quantized
    ):
        raise _Fault(f'{place} is a {value.layout} {type(value).__name__} on {value.device}, but no ordinary tensor')
    if value.numel() * value.element_size() > max(size, value.untyped_storage().nbytes()):
        raise _Fault(f'{place} claims the shape {tuple(value.shape)} of {value.dtype} in a file of {size} bytes')
