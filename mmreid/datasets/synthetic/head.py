# Copyright (c) mmreid contributors. All rights reserved.
"""Head, hair and hat."""

from __future__ import annotations

import math

from .identity import RGB, PersonSpec
from .painter import Painter, Point
from .pose import View


def draw_long_hair(painter: Painter, spec: PersonSpec, view: View) -> None:
    """Draws long hair on the back; before the trunk if the person faces the camera, otherwise after it."""
    if spec.hair_style == 'long':
        radii = [view.size(0.058, 0.2), view.size(0.056, 0.07)]
        painter.limb([view.place((0, 0.2, -0.035)), view.place((0, 0.07, -0.012))], radii, [spec.hair_color])


def draw_head(painter: Painter, spec: PersonSpec, view: View) -> None:
    """Draws head, hair and hat for the visible side; long hair is drawn separately, see ``draw_long_hair``."""
    center = view.place((0, 0.07, 0.008))
    rx, ry = view.size(0.05, 0.07), view.size(0.067, 0.07)
    back = center[0] - view.sin * rx * 0.28
    painter.ellipse(center, (rx, ry), spec.skin)
    if view.cos > 0.1:
        _face(painter, spec, view, center, rx, ry)
    if spec.hair_style != 'bald':
        _hair(painter, spec, view, center, back, rx, ry)
    if view.cos < 0:
        draw_long_hair(painter, spec, view)
    if spec.hat != 'none':
        _hat(painter, spec, view, center, rx, ry)


def _face(painter: Painter, spec: PersonSpec, view: View, center: Point, rx: float, ry: float) -> None:
    """Hints at the eyes and the mouth."""
    x, y = center[0] + view.sin * rx * 0.4, center[1]
    dark: RGB = tuple(int(c * 0.35) for c in spec.skin)
    for side in (-0.4, 0.4):
        painter.ellipse((x + side * rx * view.cos, y), (rx * 0.13, ry * 0.07), dark, shaded=False)
    lips: RGB = (min(255, spec.skin[0]), int(spec.skin[1] * 0.6), int(spec.skin[2] * 0.6))
    painter.ellipse((x, y + ry * 0.5), (rx * 0.25, ry * 0.06), lips, shaded=False)


def _hair(painter: Painter, spec: PersonSpec, view: View, center: Point, back: float, rx: float, ry: float) -> None:
    """Covers the skull: all of it from behind, the top from the front."""
    grow = 1.3 if spec.hair_style == 'curly' else 1.08
    if view.cos < -0.15:
        painter.ellipse((center[0], center[1] - ry * 0.08), (rx * grow, ry * grow * 0.98), spec.hair_color)
    else:
        painter.ellipse((back, center[1] - ry * 0.52), (rx * grow, ry * grow * 0.56), spec.hair_color)
        if abs(view.sin) > 0.45:
            shift = -math.copysign(rx * 0.45, view.sin)
            painter.ellipse((center[0] + shift, center[1] - ry * 0.15), (rx * grow * 0.62, ry * 0.75), spec.hair_color)
    if spec.hair_style == 'bun':
        painter.ellipse((back - view.sin * rx * 0.5, center[1] - ry * 1.05), (rx * 0.48, ry * 0.36), spec.hair_color)


def _hat(painter: Painter, spec: PersonSpec, view: View, center: Point, rx: float, ry: float) -> None:
    """Draws a cap with a brim, or a beanie."""
    x, y = center
    color = spec.hat_color
    painter.ellipse((x, y - ry * 0.55), (rx * 1.15, ry * 0.62), color)
    if spec.hat == 'cap':
        brim = x + view.sin * rx
        if view.cos > -0.4:
            painter.ellipse((brim, y - ry * 0.2), (rx * 1.05, ry * 0.16), tuple(int(c * 0.8) for c in color))
    else:
        painter.polygon(
            [(x - rx * 1.15, y - ry * 0.5), (x + rx * 1.15, y - ry * 0.5), (x + rx * 1.1, y - ry * 0.15),
             (x - rx * 1.1, y - ry * 0.15)],
            tuple(int(c * 0.85) for c in color), rounded=0.8,
        )  # fmt: skip
