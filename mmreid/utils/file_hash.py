# Copyright (c) mmreid contributors. All rights reserved.
"""The hash by which a file is recognized."""

import hashlib
import os


def sha256_of(path: str | os.PathLike) -> str:
    """Computes the SHA-256 of a file, in constant memory."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()
