# Copyright (c) mmreid contributors. All rights reserved.
"""Reads untrusted .npz files: arrays of plain values, no larger than the file."""

import os
import zipfile

import numpy as np


def read_npz(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Reads all arrays of a file that ``numpy.savez`` wrote.

    Args:
        path (str | os.PathLike): The file.

    Returns:
        dict[str, np.ndarray]: The arrays by name.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is another file, is compressed, or holds anything but numbers and texts.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f'there is no file {path}; check the path')
    try:
        with zipfile.ZipFile(path) as archive:
            packed = [info.filename for info in archive.infolist() if info.compress_type != zipfile.ZIP_STORED]
        if packed:
            raise ValueError(f'{packed[0]} is compressed, so its size is not known')
        with np.load(path, allow_pickle=False) as content:  # noqa: TID251  no pickle
            return {name: content[name] for name in content.files}
    except (ValueError, OSError, EOFError, MemoryError, zipfile.BadZipFile) as error:
        raise ValueError(f'{path} holds no arrays of numpy.savez ({error}); make it again') from error
