# Copyright (c) mmreid contributors. All rights reserved.
"""Checks before training that results can be written."""

import os
import tempfile
from pathlib import Path


def ensure_writable(folder: str | os.PathLike) -> Path:
    """Creates a folder and checks that files can be written in it.

    Args:
        folder (str | os.PathLike): The folder.

    Returns:
        Path: The folder.

    Raises:
        OSError: In one sentence, if it cannot be created or written to.
    """
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(
            error.errno,
            f'this folder cannot be written to ({error.strerror}): choose another, or make room and give permission',
            str(folder),
        ) from error
    return Path(folder)
