# Copyright (c) mmreid contributors. All rights reserved.
"""Bags: in the hand, over the shoulder, on the back."""

from __future__ import annotations

import math

from .identity import PersonSpec
from .painter import Painter
from .pose import SHOULDER_Y, Joint, View


def draw_handbag(painter: Painter, spec: PersonSpec, view: View, wrist: Joint) -> None:
    """Hangs a bag under the hand at ``wrist``."""
    x, y = view.place((wrist[0], wrist[1] + 0.09, wrist[2]))
    half = view.size(0.055, 0.6)
    across = half * max(0.55, abs(view.sin))
    top = view.place(wrist)
    for side in (-across, across):
        painter.crease(top, (x + side, y - half), view.scale * 0.01)
    narrow = across * 0.8
    corners = [(x - narrow, y - half), (x + narrow, y - half), (x + across, y + half), (x - across, y + half)]
    painter.polygon(corners, spec.bag_color, rounded=0.8)


def draw_backpack(painter: Painter, spec: PersonSpec, view: View) -> None:
    """Draws the backpack of a person who has one; before or after the trunk, depending on where the person faces."""
    if spec.bag != 'backpack':
        return
    x, y = view.place((0, 0.31, -0.106 * spec.build))
    half = math.hypot(0.095 * view.cos, 0.06 * view.sin) * spec.build**0.5
    painter.ellipse((x, y), (view.size(half, 0.3), view.size(0.125, 0.3)), spec.bag_color)
    if view.cos < -0.3:
        pocket = view.size(half * 0.6, 0.3)
        painter.crease((x - pocket, y + pocket * 0.3), (x + pocket, y + pocket * 0.3), view.scale * 0.01)


def draw_straps(painter: Painter, spec: PersonSpec, view: View) -> None:
    """Draws the straps of a backpack, or a shoulder bag with its strap."""
    if spec.bag == 'backpack' and view.cos > -0.2:
        for side in (-0.067, 0.067):
            _strap(painter, spec, view, (side * spec.build, SHOULDER_Y - 0.01, 0.02), (side * spec.build, 0.36, 0.062))
    elif spec.bag == 'shoulder':
        low = (0.094 * spec.build, 1 - spec.leg_ratio - 0.03, 0.037 * spec.build * (1 if view.cos > 0 else -1))
        _strap(painter, spec, view, (-0.067 * spec.build, SHOULDER_Y - 0.01, 0), low)
        size = view.size(0.062, 0.5)
        x, y = view.place(low)
        top = y - size * 0.4
        corners = [(x - size, top), (x + size, top), (x + size, y + size), (x - size, y + size)]
        painter.polygon(corners, spec.bag_color, rounded=0.8)


def _strap(painter: Painter, spec: PersonSpec, view: View, top: Joint, low: Joint) -> None:
    thick = view.scale * 0.011
    painter.limb([view.place(top), view.place(low)], [thick, thick], [spec.bag_color])
