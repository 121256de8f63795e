# Copyright (c) mmreid contributors. All rights reserved.
"""Reads the files that list the identities of a split."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import print_log

from mmreid.utils.mat_file import read_mat

from .list_rows import read_text

MAX_DIGITS = 17


def read_ids(path: str | Path, expected: str) -> list[int]:
    """Reads identities that are separated by commas, spaces or line ends, and sorts them.

    Args:
        path (str | Path): The text file.
        expected (str): The expected tree, for the message.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If it holds anything else, or nothing.
    """
    words = read_text(path, expected).replace(',', ' ').split()
    wrong = next((word for word in words if not word.isdecimal() or len(word) > MAX_DIGITS), None)
    if wrong is not None:
        raise ValueError(
            f'{path} holds {wrong!r:.100}; expected identities of at most {MAX_DIGITS} digits, separated by commas, '
            'like 1,2,5'
        )
    return _checked([int(word) for word in words], path)


def read_ids_of_mat(path: str | Path) -> list[int]:
    """Reads and sorts identities from a MATLAB file with one array; needs SciPy, and refuses any other content."""
    try:
        arrays = list(read_mat(path).values())
    except ImportError as error:
        text = Path(path).with_suffix('.txt').name
        raise ImportError(
            f'{path} can be read with SciPy only: run "pip install scipy", or put {text} from the archive beside it'
        ) from error
    numeric = [value for value in arrays if _holds_ids(value)]
    if len(arrays) != 1 or len(numeric) != 1:
        raise ValueError(f'{path} must hold one array of identities, but has {len(arrays)} arrays; unpack it again')
    return _checked(numeric[0].astype(int).ravel().tolist(), path)


def _holds_ids(value: Any) -> bool:
    if not isinstance(value, np.ndarray) or value.dtype.kind not in 'iuf':
        return False
    return bool((np.abs(value.astype(np.float64)) < 10.0**MAX_DIGITS).all() and (value == value.astype(int)).all())


def _checked(ids: list[int], path: str | Path) -> list[int]:
    unique = sorted(set(ids))
    if not unique:
        raise ValueError(f'{path} lists no identity; was the archive unpacked fully?')
    if len(unique) < len(ids):
        again = len(ids) - len(unique)
        print_log(f'{path}: {again} repeated identities were dropped', logger='current', level=logging.WARNING)
    return unique


def shorten(ids: Sequence[int | str], count: int = 5) -> str:
    """Names the first identities of a list for a message, such as ``'3, 7, 9, ...'``."""
    return ', '.join(map(str, ids[:count])) + (', ...' if len(ids) > count else '')
