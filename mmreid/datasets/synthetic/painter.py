# Copyright (c) mmreid contributors. All rights reserved.
"""A small canvas with two layers: color, and shading that is multiplied in at the end."""

from __future__ import annotations

import math

import cv2
import numpy as np

Point = tuple[float, float]
Material = tuple[int, int, int] | np.ndarray
Box = tuple[int, int, int, int]

_BITS = 4
_UNIT = 1 << _BITS


class Painter:
    """Draws filled shapes with rounded shading on an image.

    A material is an RGB color or an image of the canvas size that shows through the shape. Shapes are drawn without
    anti-aliasing: the canvas is meant to be larger than the final image.

    Args:
        canvas (numpy.ndarray): (H, W, 3) uint8 RGB background, which is drawn on in place.
    """

    # Levels of the shading: where nothing is drawn, rim and middle of a round shape, a flat shape, and a fold.
    GROUND, EDGE, LIT, FLAT, CREASE = 255, 165, 255, 235, 190

    def __init__(self, canvas: np.ndarray) -> None:
        self.canvas = canvas
        self.shade = np.full(canvas.shape[:2], self.GROUND, np.uint8)
        self._mask = np.zeros(canvas.shape[:2], np.uint8)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the canvas in pixels."""
        height, width = self.canvas.shape[:2]
        return height, width

    def polygon(self, points: list[Point], material: Material, rounded: float = 0.62) -> None:
        """Fills a polygon of corners in pixels; its lit middle is ``rounded`` times as wide, 1 makes a flat shape."""
        corners = _fixed(points)
        self._fill(material, lambda image, value: cv2.fillPoly(image, [corners], value, shift=_BITS))
        cv2.fillPoly(self.shade, [corners], self.EDGE if rounded < 1 else self.FLAT, shift=_BITS)
        if rounded < 1:
            middle = corners[:, :1].mean()
            inner = corners.copy()
            inner[:, 0] = (middle + (corners[:, 0] - middle) * rounded).astype(np.int32)
            cv2.fillPoly(self.shade, [inner], self.LIT, shift=_BITS)

    def limb(self, points: list[Point], radii: list[float], materials: list[Material]) -> None:
        """Fills a limb: a chain of segments that is shaded as one, without seams at the joints.

        Args:
            points (list[tuple[float, float]]): The n + 1 joints in pixels, from the far end to the near one.
            radii (list[float]): Radius at each joint in pixels.
            materials (list[tuple | numpy.ndarray]): Color or texture of each of the n segments.
        """
        segments = list(zip(points, points[1:], radii, radii[1:], strict=False))
        for segment, material in zip(segments, materials, strict=True):
            self._fill(material, lambda image, value, part=segment: _capsule(image, *part, value))
        for segment in segments:
            _capsule(self.shade, *segment, self.EDGE)
        for start, end, r0, r1 in segments:
            _capsule(self.shade, start, end, r0 * 0.6, r1 * 0.6, self.LIT)

    def ellipse(self, center: Point, axes: Point, material: Material, shaded: bool = True) -> None:
        """Fills an upright ellipse; ``axes`` are half width and height in pixels. If shaded, its edge is darker."""
        self._fill(material, lambda image, value: fill_ellipse(image, center, axes, value))
        fill_ellipse(self.shade, center, axes, self.EDGE if shaded else self.LIT)
        if shaded:
            fill_ellipse(self.shade, center, (axes[0] * 0.7, axes[1] * 0.8), self.LIT)

    def crease(self, start: Point, end: Point, width: float) -> None:
        """Draws a fold of cloth in the shading: a dark line, ``width`` pixels wide."""
        first, second = _fixed([start, end]).tolist()
        cv2.line(self.shade, first, second, self.CREASE, max(1, round(width)), shift=_BITS)

    def shadow(self, center: Point, axes: Point) -> None:
        """Darkens the ground under the feet; ``axes`` are half width and half height in pixels."""
        fill_ellipse(self.shade, center, axes, 120)

    def dim(self, light: float) -> None:
        """Leaves the fraction ``light`` of the brightness of what is painted so far, as if out of reach of a lamp."""
        cv2.convertScaleAbs(self.canvas, self.canvas, alpha=light)

    def box(self, slack: np.ndarray) -> Box:
        """Returns the box around what is drawn since the last ``finish``, as a detector would.

        Args:
            slack (numpy.ndarray): How far each side is off in pixels: left, top, right, bottom.

        Returns:
            tuple: Left, top, right and bottom in pixels, inside the canvas and at least 16 pixels wide and high.
        """
        left, top, width, height = cv2.boundingRect((self.shade != self.GROUND).view(np.uint8))
        found = np.rint(np.add((left, top, left + width, top + height), slack)).astype(int)
        most = np.array(self.shape[::-1])
        start = np.clip(found[:2], 0, most - 16)
        left, top, right, bottom = *start, *np.clip(found[2:], start + 16, most)
        return int(left), int(top), int(right), int(bottom)

    def finish(self) -> np.ndarray:
        """Multiplies the shading into the colors, starts a new, empty shading, and returns the canvas."""
        width = max(3, int(self.shape[0] * 0.014) | 1)
        soft = cv2.blur(self.shade, (width, width))
        cv2.multiply(self.canvas, cv2.merge((soft, soft, soft)), dst=self.canvas, scale=1 / 255)
        self.shade[:] = self.GROUND
        return self.canvas

    def _fill(self, material: Material, draw) -> None:
        """Draws directly with a color, or cuts the shape out of a texture."""
        if isinstance(material, tuple):
            draw(self.canvas, material)
            return
        self._mask[:] = 0
        draw(self._mask, 255)
        cv2.copyTo(material, self._mask, self.canvas)


def _fixed(points: list[Point]) -> np.ndarray:
    """Turns pixels into the fixed-point numbers of OpenCV."""
    return np.rint(np.asarray(points, np.float64) * _UNIT).astype(np.int32)


def fill_ellipse(image: np.ndarray, center: Point, axes: Point, value) -> None:
    """Fills an upright ellipse with a value; ``axes`` are half width and height in pixels."""
    fixed = (round(center[0] * _UNIT), round(center[1] * _UNIT))
    size = (max(1, round(axes[0] * _UNIT)), max(1, round(axes[1] * _UNIT)))
    cv2.ellipse(image, fixed, size, 0, 0, 360, value, -1, shift=_BITS)


def _capsule(image: np.ndarray, start: Point, end: Point, r0: float, r1: float, value) -> None:
    """Fills two discs and the band between them."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = math.hypot(dx, dy)
    for (x, y), radius in ((start, r0), (end, r1)):
        cv2.circle(image, (round(x * _UNIT), round(y * _UNIT)), max(1, round(radius * _UNIT)), value, -1, shift=_BITS)
    if length < 1e-6:
        return
    nx, ny = -dy / length, dx / length
    band = [
        (start[0] + nx * r0, start[1] + ny * r0),
        (end[0] + nx * r1, end[1] + ny * r1),
        (end[0] - nx * r1, end[1] - ny * r1),
        (start[0] - nx * r0, start[1] - ny * r0),
    ]
    cv2.fillConvexPoly(image, _fixed(band), value, shift=_BITS)
