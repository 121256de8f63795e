# Copyright (c) mmreid contributors. All rights reserved.
"""Official networks of the golden data: their keys, and parameters that are made by a recipe instead of stored."""

import math
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

GOLDEN = Path(__file__).parent / 'data' / 'golden'


def official_shapes(name: str) -> dict[str, tuple[int, ...]]:
    """Reads key and shape of every entry of an official checkpoint from ``<number>_keys_<name>.txt``."""
    (path,) = GOLDEN.glob(f'*_keys_{name}.txt')
    lines = path.read_text().splitlines()
    fields = [line.split() for line in lines if line and not line.startswith('#')]
    return {key: () if shape == 'scalar' else tuple(map(int, shape.split('x'))) for key, shape, *_ in fields}


def by_recipe(shapes: Mapping[str, tuple[int, ...]], seed: int = 2027) -> dict[str, torch.Tensor]:
    """Makes the parameters that the golden outputs were computed with; ``seed`` is ``det_seed`` of their file."""
    return {key: _parameter(key, shape, seed) for key, shape in shapes.items()}


def _parameter(key: str, shape: tuple[int, ...], seed: int) -> torch.Tensor:
    rs = np.random.RandomState((zlib.crc32(key.encode()) ^ seed) & 0xFFFFFFFF)
    kind = key.rpartition('.')[2]
    if kind == 'num_batches_tracked':
        return torch.tensor(0)
    if kind == 'running_mean':
        value = 0.1 * rs.standard_normal(shape)
    elif kind == 'running_var':
        value = 0.5 + rs.random_sample(shape)
        value *= 1e6 if key.startswith('NL_') else 1  # non-local blocks are cubic in their input
    elif len(shape) > 1:
        value = rs.standard_normal(shape) * math.sqrt(1 / math.prod(shape[1:]))
    elif kind == 'weight':
        value = 0.75 + 0.5 * rs.random_sample(shape)
    else:
        value = 0.1 * rs.standard_normal(shape)
    return torch.from_numpy(np.asarray(value, dtype=np.float32))


def assert_near(found: torch.Tensor, expected: np.ndarray, tolerance: float) -> None:
    """Compares with |a - b| / max(1, |b|), the tolerance of the golden data."""
    error = np.abs(found.detach().numpy() - expected) / np.maximum(1, np.abs(expected))
    assert error.max() <= tolerance
