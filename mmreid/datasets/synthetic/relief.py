# Copyright (c) mmreid contributors. All rights reserved.
"""Soft light: bodies as a relief that is lit from one side, in cloth with folds."""

from __future__ import annotations

import cv2
import numpy as np

from .painter import Painter, Point, fill_ellipse

_PATTERNS = 8
# Sum of the Sobel weights times the slope of a limb; makes the shading of an ordinary limb about 1.
_STEEP = 160.0


class ReliefPainter(Painter):
    """Draws filled shapes as solid bodies. The shading is a height: a shape is highest in its middle.

    Args:
        canvas (numpy.ndarray): (H, W, 3) uint8 RGB background, which is drawn on in place.
        light (tuple[float, float]): Strength of the light from the left (or, negative, the right) and from above.
        cloth (numpy.ndarray): (H, W) float32 brightness of folds, to be added to 1.
    """

    GROUND, EDGE, LIT, FLAT, CREASE = 0, 110, 220, 200, 140

    def __init__(self, canvas: np.ndarray, light: tuple[float, float], cloth: np.ndarray) -> None:
        super().__init__(canvas)
        self.light, self.cloth = light, cloth

    def shadow(self, center: Point, axes: Point) -> None:
        """Darkens the ground on the side away from the light; ``axes`` are half width and half height in pixels."""
        self._mask[:] = 0
        away = self.light[0] / max(0.1, abs(self.light[0]) + abs(self.light[1]))
        fill_ellipse(self._mask, (center[0] + away * axes[0], center[1]), (axes[0] * 1.1, axes[1]), 100)
        dark = 1 - cv2.blur(self._mask, (9, 5)).astype(np.float32) / 255
        cv2.multiply(self.canvas, cv2.merge((dark, dark, dark)), dst=self.canvas, dtype=cv2.CV_8U)

    def finish(self) -> np.ndarray:
        """Lights the relief, starts a new, flat one, and returns the canvas."""
        width = max(3, int(self.shape[0] * 0.02) | 1)
        height = cv2.blur(cv2.blur(self.shade, (width, width)), (width, width))
        body = cv2.min(self.shade, 1).astype(np.float32)
        slope = cv2.Sobel(height, cv2.CV_32F, 1, 0, scale=self.light[0] / _STEEP)
        slope += cv2.Sobel(height, cv2.CV_32F, 0, 1, scale=self.light[1] / _STEEP)
        rim = cv2.multiply(cv2.subtract(self.LIT, height), 0.12 / self.LIT, dtype=cv2.CV_32F)
        light = 1 + body * (np.clip(slope, -0.6, 0.6) + self.cloth - rim)
        cv2.multiply(self.canvas, cv2.merge((light, light, light)), dst=self.canvas, dtype=cv2.CV_8U)
        self.shade[:] = self.GROUND
        return self.canvas


class Folds:
    """Patterns of folds that are drawn once and cut for every image.

    Args:
        rng (numpy.random.Generator): Source of randomness of the patterns.
        shape (tuple[int, int]): Height and width of the canvas in pixels.
    """

    def __init__(self, rng: np.random.Generator, shape: tuple[int, int]) -> None:
        self.shape = shape
        self._patterns = [_fold_pattern(rng, shape[0]) for _ in range(_PATTERNS)]

    def cut(self, rng: np.random.Generator, strength: float) -> np.ndarray:
        """Cuts folds for one image: (H, W) float32 with a deviation of about ``strength``."""
        pattern = self._patterns[int(rng.integers(_PATTERNS))]
        top, left = (int(rng.integers(a - b + 1)) for a, b in zip(pattern.shape, self.shape, strict=True))
        part = pattern[top : top + self.shape[0], left : left + self.shape[1]]
        return part * np.float32(strength * (1 if rng.random() < 0.5 else -1))


def _fold_pattern(rng: np.random.Generator, height: int) -> np.ndarray:
    """Draws long folds in one direction over broad ones, (2H, 2H) float32 with mean 0 and deviation 1."""
    size = 2 * height
    noise = rng.standard_normal((2, size, size), np.float32)
    fine = cv2.GaussianBlur(noise[0], (0, 0), sigmaX=max(1.0, height * 0.012), sigmaY=max(1.0, height * 0.04))
    turn = cv2.getRotationMatrix2D((height, height), rng.uniform(-60, 60), 1.5)
    fine = cv2.warpAffine(fine, turn, (size, size), borderMode=cv2.BORDER_REFLECT)
    broad = cv2.GaussianBlur(noise[1], (0, 0), max(1.0, height * 0.05))
    pattern = fine / fine.std() + 0.7 * broad / broad.std()
    return (pattern - pattern.mean()) / pattern.std()
