# Copyright (c) mmreid contributors. All rights reserved.
"""Reads the files in which data sets list the identities of a split."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmengine.logging import print_log

from .list_rows import read_text


def read_ids(path: str | Path, expected: str) -> list[int]:
    """Reads identities that are split by commas, spaces or line ends.

    An identity that comes again is dropped, with a warning that counts them.

    Args:
        path (str | Path): The text file.
        expected (str): The tree that was expected, for the message.

    Returns:
        list[int]: The identities, sorted.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If it holds anything else, or nothing.
    """
    words = read_text(path, expected).replace(',', ' ').split()
    wrong = next((word for word in words if not word.isdecimal()), None)
    if wrong is not None:
        raise ValueError(f'{path} holds {wrong!r}; expected identities in digits, split by commas, like 1,2,5')
    return _checked([int(word) for word in words], path)


def read_ids_of_mat(path: str | Path) -> list[int]:
    """Reads identities from a MATLAB file that holds one array of them.

    Args:
        path (str | Path): The file.

    Returns:
        list[int]: The identities, sorted.

    Raises:
        ImportError: If SciPy is missing, which reads such files.
        ValueError: If the file is broken, or holds no such array.
    """
    try:
        from scipy.io import loadmat
    except ImportError as error:
        text = Path(path).with_suffix('.txt').name
        raise ImportError(
            f'{path} can be read with SciPy only: run "pip install scipy", or put {text} from the archive beside it'
        ) from error
    try:
        arrays = [value for key, value in loadmat(str(path)).items() if not key.startswith('__')]
    except Exception as error:  # SciPy raises whatever the broken bytes lead to
        raise ValueError(f'{path} is no MATLAB file that SciPy can read ({error}); unpack it again') from error
    numeric = [
        value for value in arrays if np.issubdtype(value.dtype, np.number) and (value == value.astype(int)).all()
    ]
    if len(arrays) != 1 or len(numeric) != 1:
        raise ValueError(f'{path} must hold one array of identities, but has {len(arrays)} arrays; unpack it again')
    return _checked(numeric[0].astype(int).ravel().tolist(), path)


def _checked(ids: list[int], path: str | Path) -> list[int]:
    unique = sorted(set(ids))
    if not unique:
        raise ValueError(f'{path} lists no identity; was the archive unpacked fully?')
    if len(unique) < len(ids):
        again = len(ids) - len(unique)
        print_log(f'{path}: {again} identities came again', logger='current', level=logging.WARNING)
    return unique


def shorten(ids: Sequence[int | str], count: int = 5) -> str:
    """Names the first identities of a list, for a message.

    Args:
        ids (Sequence[int | str]): The identities.
        count (int): How many to name. Defaults to 5.

    Returns:
        str: For example ``'3, 7, 9, ...'``.
    """
    return ', '.join(map(str, ids[:count])) + (', ...' if len(ids) > count else '')
