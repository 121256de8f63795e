# Copyright (c) mmreid contributors. All rights reserved.
"""Reads and writes ``*.safetensors``, with the package of that name, which is optional."""

import os
from pathlib import Path
from types import ModuleType

from torch import Tensor

from mmreid.utils.checkpoint import CheckpointError


def read_safetensors(path: str | os.PathLike) -> dict[str, Tensor]:
    """Reads a file; raises a CheckpointError if it is not complete and well formed."""
    package = _package(path)
    if not Path(path).is_file():
        raise FileNotFoundError(f'{path} does not exist; check the path')
    try:
        return package.torch.load_file(path)
    except package.SafetensorError as error:
        raise CheckpointError(f'{path} is not a complete safetensors file ({error}); fetch it again') from error


def safetensors_bytes(weights: dict[str, Tensor], place: str | os.PathLike) -> bytes:
    """Gives the content of a file with these weights, which may share no memory."""
    copies = {name: value.detach().cpu().contiguous().clone() for name, value in weights.items()}
    return _package(place).torch.save(copies, metadata={'format': 'pt'})


def _package(place: str | os.PathLike) -> ModuleType:
    try:
        import safetensors.torch
    except ImportError as error:
        raise ImportError(f'{place} needs the package safetensors; run: pip install safetensors') from error
    return safetensors
