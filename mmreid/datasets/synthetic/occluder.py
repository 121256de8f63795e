# Copyright (c) mmreid contributors. All rights reserved.
"""Things between the camera and the person."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .identity import RGB
from .painter import Painter

OCCLUDERS = ('pole', 'barrier', 'plant', 'car', 'sign')


def _as_it_is(color: RGB) -> RGB:
    return color


def draw_occluder(
    painter: Painter, rng: np.random.Generator, kind: str, reflect: Callable[[RGB], RGB] = _as_it_is
) -> None:
    """Draws one thing over the image, which never hides more than about half of the person.

    Args:
        painter (Painter): The canvas.
        rng (numpy.random.Generator): Source of randomness.
        kind (str): One of ``OCCLUDERS``.
        reflect (Callable): Turns the visible color of a thing into the painted one, see
            ``reflectance.Surroundings.color``. Defaults to the same color.
    """
    height, width = painter.shape
    color = reflect(tuple(int(c) for c in rng.integers(30, 200, 3)))
    if kind == 'pole':
        x, half = width * rng.uniform(0.15, 0.85), width * rng.uniform(0.04, 0.09)
        _box(painter, x - half, -2, x + half, height + 2, reflect((90, 92, 96)))
    elif kind == 'barrier':
        top = height * rng.uniform(0.66, 0.8)
        _box(painter, -2, top, width + 2, top + height * 0.06, color)
        _box(painter, -2, top + height * 0.1, width + 2, top + height * 0.16, color)
    elif kind == 'plant':
        for _ in range(14):
            center = (width * rng.uniform(0, 1), height * rng.uniform(0.78, 1.02))
            radius = height * rng.uniform(0.03, 0.07)
            leaf = (40 + int(rng.integers(40)), 90 + int(rng.integers(50)), 40)
            painter.ellipse(center, (radius, radius), reflect(leaf))
    elif kind == 'car':
        top, side = height * rng.uniform(0.62, 0.75), rng.random() < 0.5
        left, right = (-2, width * rng.uniform(0.45, 0.8)) if side else (width * rng.uniform(0.2, 0.55), width + 2)
        _box(painter, left, top, right, height + 2, color)
        _box(painter, left, top, right, top + height * 0.07, reflect((60, 70, 84)))
    elif kind == 'sign':
        left = width * rng.choice((-0.1, 0.72))
        top = height * rng.uniform(0.1, 0.5)
        _box(painter, left, top, left + width * 0.38, top + height * 0.25, color)
    else:
        raise ValueError(f'There is no occluder {kind!r}; use one of {OCCLUDERS}.')


def _box(painter: Painter, left: float, top: float, right: float, bottom: float, color: tuple[int, int, int]) -> None:
    painter.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], color, rounded=0.85)
