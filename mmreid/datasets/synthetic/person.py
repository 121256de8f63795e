# Copyright (c) mmreid contributors. All rights reserved.
"""Draws a person, from far parts to near ones."""

from __future__ import annotations

import math

from .bag import draw_backpack, draw_handbag, draw_straps
from .fabric import make_fabric
from .head import draw_head, draw_long_hair
from .identity import PersonSpec
from .painter import Material, Painter, Point
from .pose import SHOULDER_Y, Joint, Pose, View, arm_joints, leg_joints

_SLEEVE_LENGTH = {'long': 2.0, 'short': 0.75, 'none': 0.0}


class PersonArtist:
    """Draws one person in one pose.

    Args:
        painter (Painter): The canvas to draw on.
        spec (PersonSpec): Who it is.
        pose (Pose): How the person stands.
        view (View): Where the body is in the image.
    """

    def __init__(self, painter: Painter, spec: PersonSpec, pose: Pose, view: View) -> None:
        self.painter, self.spec, self.pose, self.view = painter, spec, pose, view
        self.hip_y = 1 - spec.leg_ratio
        self.hem_y = self.hip_y + {'cropped': -0.02, 'normal': 0.03, 'coat': 0.17}[spec.hem]
        thick = spec.bulk**0.3
        self.shoulder, self.waist = 0.112 * spec.build * thick, 0.09 * spec.build**1.3 * thick
        self.hip = 0.094 * spec.build
        self.upper, self.lower = self._fabrics()

    def draw(self) -> None:
        """Draws the whole person, in the order of depth."""
        view, painter = self.view, self.painter
        painter.shadow(view.place((0, 1.0, 0)), (view.size(0.17, 1.0), view.size(0.028, 1.0)))
        sides = sorted((-1, 1), key=lambda side: view.depth((side, 0, 0)))
        if view.cos >= 0:
            draw_long_hair(painter, self.spec, view)
            draw_backpack(painter, self.spec, view)
        if abs(view.sin) > 0.35:
            self._arm(sides[0])
        for side in sorted(sides, key=self._leg_depth):
            self._leg(side)
        self._skirt()
        self._torso()
        if view.cos < 0:
            draw_backpack(painter, self.spec, view)
        if abs(view.sin) <= 0.35:
            self._arm(sides[0])
        draw_straps(painter, self.spec, view)
        self._arm(sides[1])
        draw_head(painter, self.spec, view)

    def _fabrics(self) -> tuple[Material, Material]:
        """Weaves the cloth of the upper and the lower clothes."""
        spec, view = self.spec, self.view
        collar, belt = view.place((0, SHOULDER_Y - 0.02, 0)), view.place((0, self.hip_y, 0))
        period = spec.upper_period * view.scale
        shape = self.painter.shape
        upper = make_fabric(
            spec.upper_texture, spec.upper_color, spec.upper_accent, period, shape, collar,
            view.scale * (self.hem_y - SHOULDER_Y),
        )  # fmt: skip
        lower = make_fabric(
            spec.lower_texture, spec.lower_color, spec.lower_accent, period * 0.7, shape, belt, view.scale * 0.3
        )
        return upper, lower

    def _half_width(self, half: float) -> float:
        """Returns the half width of an elliptic cross-section as seen from this side, in body heights."""
        return math.hypot(half * self.view.cos, 0.68 * half * self.view.sin)

    def _rim(self, y: float, half: float, sign: int) -> Point:
        """Returns a point on the outline of the trunk."""
        x, py = self.view.place((0, y, 0))
        return x + sign * self.view.size(self._half_width(half), y), py

    def _leg_depth(self, side: int) -> float:
        """Returns how near a leg is, by its ankle."""
        ankle = leg_joints(self.pose, side, self._hip_joint(side), self.spec.leg_ratio)[1]
        return self.view.depth(ankle)

    def _hip_joint(self, side: int) -> Joint:
        return (side * self.hip * 0.55, self.hip_y, 0.0)

    def _leg(self, side: int) -> None:
        """Draws a leg with its shoe; trousers cover it, shorts its upper part, a skirt nothing."""
        spec = self.spec
        hip = self._hip_joint(side)
        knee, ankle, toe = leg_joints(self.pose, side, hip, spec.leg_ratio)
        kind = spec.lower_kind
        thigh_cloth = spec.skin if kind == 'skirt' else self.lower
        calf_cloth = self.lower if kind == 'trousers' else spec.skin
        width = spec.build**0.8 * (1.0 if kind != 'skirt' else 0.85)
        slim = spec.leg_width if kind == 'trousers' else 0.8
        self._limb([ankle, toe], [0.028, 0.022], [spec.shoe_color])
        self._limb(
            [ankle, knee, hip],
            [0.031 * width * slim, (0.044 if kind == 'trousers' else 0.036) * width, 0.06 * width],
            [calf_cloth, thigh_cloth],
        )
        if kind == 'shorts':
            self._limb([knee, hip], [0.052 * width, 0.062 * width], [self.lower])

    def _limb(self, joints: list[Joint], radii: list[float], materials: list[Material]) -> None:
        """Draws a chain of body parts, from the far end to the trunk."""
        view = self.view
        sizes = [view.size(radius, joint[1]) for radius, joint in zip(radii, joints, strict=True)]
        self.painter.limb([view.place(joint) for joint in joints], sizes, materials)

    def _skirt(self) -> None:
        """Draws a skirt from the waist to the knees."""
        if self.spec.lower_kind != 'skirt':
            return
        top, bottom = self.hip_y - 0.06, self.hip_y + 0.23
        self.painter.polygon(
            [self._rim(top, self.waist, -1), self._rim(top, self.waist, 1), self._rim(bottom, self.hip * 1.35, 1),
             self._rim(bottom, self.hip * 1.35, -1)],
            self.lower,
        )  # fmt: skip

    def _torso(self) -> None:
        """Draws the trunk, its folds and the print on the chest."""
        neck, waist_y = SHOULDER_Y - 0.03, 0.39
        flare = 1.15 if self.spec.hem == 'coat' else 1.04
        if self.spec.hem == 'cropped':
            belt = self.hip_y - 0.04
            self.painter.polygon(
                [self._rim(belt, self.waist, -1), self._rim(belt, self.waist, 1),
                 self._rim(self.hip_y + 0.05, self.hip, 1), self._rim(self.hip_y + 0.05, self.hip, -1)],
                self.lower,
            )  # fmt: skip
        outline = [(neck, self.shoulder * 0.5), (SHOULDER_Y, self.shoulder), (waist_y, self.waist),
                   (self.hem_y, self.hip * flare)]  # fmt: skip
        points = [self._rim(y, half, 1) for y, half in outline]
        points += [self._rim(y, half, -1) for y, half in reversed(outline)]
        self._limb([(0, 0.11, 0), (0, neck + 0.02, 0)], [0.03, 0.035], [self.spec.skin])
        self.painter.polygon(points, self.upper)
        if self.spec.two_tone == 'shirt' and self.view.cos > 0.2:
            self._shirt()
        for y, sign in ((0.3, 1), (0.4, -1)):
            start, end = self._rim(y, self.waist, sign), self.view.place((0, y + 0.03, 0))
            self.painter.crease(start, end, self.view.scale * 0.006)
        if self.spec.upper_texture == 'logo' and self.view.cos > 0.15:
            self._logo()

    def _shirt(self) -> None:
        """Shows the shirt between the fronts of an open jacket."""
        half, front = self.shoulder * 0.3, self.shoulder * 0.6
        top, bottom = SHOULDER_Y - 0.025, self.hip_y + 0.01
        joints = [(-half, top, front), (half, top, front), (0.8 * half, bottom, front), (-0.8 * half, bottom, front)]
        self.painter.polygon([self.view.place(joint) for joint in joints], self.spec.upper_accent, rounded=1)

    def _logo(self) -> None:
        """Prints a sign on the chest; its form depends on the period, so it belongs to the person."""
        center = self.view.place((0, 0.28, self.shoulder * 0.5))
        half = self.view.scale * 0.05
        across = half * max(0.3, self.view.cos)
        x, y = center
        form = int(self.spec.upper_period * 1000) % 3
        if form == 0:
            self.painter.ellipse(center, (across, half), self.spec.upper_accent, shaded=False)
        elif form == 1:
            corners = [(x - across * 1.3, y - half * 0.5), (x + across * 1.3, y - half * 0.5),
                       (x + across * 1.3, y + half * 0.5), (x - across * 1.3, y + half * 0.5)]  # fmt: skip
            self.painter.polygon(corners, self.spec.upper_accent, rounded=1)
        else:
            self.painter.polygon(
                [(x, y - half), (x + across * 1.2, y + half), (x - across * 1.2, y + half)],
                self.spec.upper_accent, rounded=1,
            )  # fmt: skip

    def _arm(self, side: int) -> None:
        """Draws an arm with its sleeve, and the handbag in the right hand."""
        spec = self.spec
        width = spec.build**0.7 * (spec.bulk if spec.sleeve == 'long' else 1.0)
        lower = 0.035 * (width - spec.build**0.7)  # so that thick sleeves do not rise above the shoulder
        start = (side * (self.shoulder * 0.95 - lower), SHOULDER_Y + 0.012 + 1.5 * lower, 0.0)
        elbow, wrist = arm_joints(self.pose, side, start)
        cloth = spec.upper_accent if spec.two_tone == 'sleeves' else self.upper
        sleeve = _SLEEVE_LENGTH[spec.sleeve]  # 1 ends at the elbow, 2 at the wrist
        if spec.bag == 'handbag' and side > 0:
            draw_handbag(self.painter, spec, self.view, wrist)
        self._limb([wrist, wrist], [0.021, 0.021], [spec.skin])
        self._limb(
            [wrist, elbow, start],
            [0.021 * width, 0.028 * width, 0.035 * width],
            [cloth if sleeve > 1 else spec.skin, spec.skin if sleeve < 1 else cloth],
        )
        if 0 < sleeve < 1:
            cut = tuple(a + (b - a) * sleeve for a, b in zip(start, elbow, strict=True))
            self._limb([cut, start], [0.036 * width, 0.037 * width], [cloth])


def draw_person(painter: Painter, spec: PersonSpec, pose: Pose, view: View) -> None:
    """Draws one person on a canvas."""
    PersonArtist(painter, spec, pose, view).draw()
