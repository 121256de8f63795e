# Copyright (c) mmreid contributors. All rights reserved.
"""Cloth: the textures that garments are cut from."""

from __future__ import annotations

import math

import numpy as np

from .identity import RGB
from .painter import Material, Point


def make_fabric(
    texture: str, color: RGB, accent: RGB, period: float, shape: tuple[int, int], anchor: Point, length: float
) -> Material:
    """Weaves a cloth that covers the canvas and is attached to the body.

    Args:
        texture (str): One of ``identity.TEXTURES``; 'logo' is plain cloth, the print is drawn on the chest later.
        color (tuple[int, int, int]): Main RGB color.
        accent (tuple[int, int, int]): Second RGB color.
        period (float): Period of stripes and checks in pixels.
        shape (tuple[int, int]): Height and width of the canvas in pixels.
        anchor (tuple[float, float]): Point of the body where the pattern starts, in pixels.
        length (float): Length of the garment in pixels, for gradients and blocks.

    Returns:
        tuple | numpy.ndarray: A plain color, or a (H, W, 3) uint8 image.
    """
    if texture in ('plain', 'logo'):
        return color
    height, width = shape
    down = np.arange(height, dtype=np.float32) - anchor[1]
    across = np.arange(width, dtype=np.float32) - anchor[0]
    if texture == 'stripes':
        amount = np.broadcast_to(_bands(down, period, 0.5)[:, None], shape)
    elif texture == 'pinstripes':
        amount = np.broadcast_to(_bands(across, period * 0.8, 0.4)[None], shape)
    elif texture == 'checks':
        amount = (_bands(down, period, 0.5)[:, None] + _bands(across, period, 0.5)[None]) * 0.5
    elif texture == 'gradient':
        amount = np.broadcast_to(np.clip(down / length, 0, 1)[:, None], shape)
    elif texture == 'block':
        amount = np.broadcast_to((down < length * 0.42).astype(np.float32)[:, None], shape)
    elif texture == 'quilted':
        accent = tuple(channel // 2 for channel in color)
        seams = 1 - np.abs(np.sin(down * (math.pi / max(period, 1e-3))))
        amount = np.broadcast_to((0.9 * seams**2)[:, None], shape)
    else:
        raise ValueError(f'There is no rule to weave the texture {texture!r}; add one to fabric.py.')
    levels = np.linspace(0, 1, 256)[:, None]
    table = (np.asarray(color) * (1 - levels) + np.asarray(accent) * levels).astype(np.uint8)
    return table[(amount * 255).astype(np.uint8)]


def _bands(position: np.ndarray, period: float, fraction: float) -> np.ndarray:
    """Returns 1 inside the bands, 0 between them."""
    return ((position / max(period, 1e-3)) % 1.0 < fraction).astype(np.float32)
