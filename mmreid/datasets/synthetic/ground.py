# Copyright (c) mmreid contributors. All rights reserved.
"""Ground that fills the image, as a raised camera sees it: roads and lawns."""

from __future__ import annotations

import cv2
import numpy as np

_COLORS = {
    'asphalt': ((132, 134, 138), (158, 158, 158), (176, 174, 170), (104, 106, 112)),
    'lawn': ((88, 112, 52), (104, 118, 66), (118, 120, 84), (72, 92, 48)),
    'earth': ((132, 112, 88), (150, 134, 110), (116, 104, 92)),
}
_PAINT = ((226, 226, 220), (214, 190, 90), (96, 96, 98), (170, 60, 50))


def paint_ground(rng: np.random.Generator, image: np.ndarray, scene: str) -> None:
    """Paints a road or a lawn: patches of other ground, lines and edges, stains, things that lie around."""
    height, width = image.shape[:2]
    image[:] = _near(rng, _COLORS[scene])
    for _ in range(int(rng.integers(2, 5))):
        kind = rng.choice(('asphalt', 'lawn', 'earth'))
        corners = _stripe(rng, height, width, rng.uniform(0.08, 0.6))
        cv2.fillConvexPoly(image, corners, _near(rng, _COLORS[str(kind)]))
        if rng.random() < 0.5:
            cv2.polylines(image, [corners], True, _near(rng, ((190, 188, 184), (120, 118, 114))), max(2, height // 60))
    for _ in range(int(rng.integers(1, 4))):
        line = _stripe(rng, height, width, rng.uniform(0.008, 0.03))
        cv2.fillConvexPoly(image, line, _near(rng, _PAINT))
    for _ in range(int(rng.integers(2, 8))):
        x, y, half = int(rng.integers(width)), int(rng.integers(height)), int(height * rng.uniform(0.02, 0.09))
        color = tuple(rng.integers(20, 235, 3).tolist())
        cv2.ellipse(image, (x, y), (half, int(half * rng.uniform(0.4, 2))), 0, 0, 360, color, -1)
    _stain(rng, image)


def _stripe(rng: np.random.Generator, height: int, width: int, thick: float) -> np.ndarray:
    """Draws the corners, (4, 2) int32, of a band across the image, as wide as a fraction of its height."""
    left, right = rng.uniform(-0.3, 1.3, 2) * height
    half = thick * height / 2
    return np.array([[0, left - half], [width, right - half], [width, right + half], [0, left + half]], np.int32)


def _stain(rng: np.random.Generator, image: np.ndarray) -> None:
    """Roughens everything: broad stains and shadows, and fine grain."""
    height, width = image.shape[:2]
    broad = cv2.resize(rng.standard_normal((6, 10), np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    fine = cv2.GaussianBlur(rng.standard_normal((height, width), np.float32), (0, 0), max(0.6, height * 0.004))
    light = 1 + rng.uniform(0.03, 0.12) * broad + rng.uniform(0.02, 0.1) * fine / fine.std()
    cv2.multiply(image, cv2.merge((light, light, light)), dst=image, dtype=cv2.CV_8U)


def _near(rng: np.random.Generator, colors: tuple[tuple[int, int, int], ...]) -> tuple[int, int, int]:
    """Draws one of the colors, and moves it."""
    base = np.asarray(colors[int(rng.integers(len(colors)))]) + rng.integers(-30, 31) + rng.integers(-10, 11, 3)
    red, green, blue = np.clip(base, 0, 255).tolist()
    return red, green, blue
