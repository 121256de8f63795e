# Copyright (c) mmreid contributors. All rights reserved.
"""How a person stands in one image (direction, step and arms), and where the body parts are in the image."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .painter import Point

Joint = tuple[float, float, float]
# Height of the shoulders, as a fraction of the body from the top of the head.
SHOULDER_Y = 0.185


@dataclass(frozen=True)
class Pose:
    """One moment of a walk.

    Attributes:
        azimuth (float): Direction in radians: 0 looks at the camera, pi/2 to the right of the image, pi away.
        phase (float): Phase of the step in radians.
        stride (float): Largest leg angle in radians; 0 stands still.
        swing (float): Largest arm angle in radians.
        elbow (float): Bend of the elbows in radians.
        raised (int): Arm at the phone: -1 left, 1 right, 0 none.
        roll (float): Sideways lean of the body, as a fraction of its height.
    """

    azimuth: float
    phase: float
    stride: float
    swing: float
    elbow: float
    raised: int
    roll: float


def sample_pose(rng: np.random.Generator, azimuth: float) -> Pose:
    """Draws a moment of a walk in direction ``azimuth`` (radians)."""
    moving = rng.random() < 0.85
    return Pose(
        azimuth=azimuth,
        phase=rng.uniform(0, 2 * math.pi),
        stride=rng.uniform(0.25, 0.55) if moving else rng.uniform(0, 0.08),
        swing=rng.uniform(0.15, 0.6) if moving else 0.08,
        elbow=rng.uniform(0.05, 0.6),
        raised=int(rng.choice((-1, 0, 0, 0, 0, 0, 1))),
        roll=rng.normal(0, 0.02),
    )


class View:
    """Puts points of the body into the image.

    The body is measured in body heights: x to the left hand, y down from the top of the head (1 is the ground), z
    forward. A raised camera makes the upper half larger than the lower half.

    Args:
        azimuth (float): Direction in radians.
        elevation (float): How much larger the head is than the feet: 0 is level, 0.5 looks down steeply.
        top (tuple[float, float]): Where the top of the head is, in pixels.
        scale (float): Pixels per body height.
        roll (float): Sideways lean as a fraction of the height.
    """

    def __init__(self, azimuth: float, elevation: float, top: Point, scale: float, roll: float = 0.0) -> None:
        self.cos, self.sin = math.cos(azimuth), math.sin(azimuth)
        self.elevation, self.top, self.scale, self.roll = elevation, top, scale, roll

    def place(self, joint: Joint) -> Point:
        """Returns the pixel (x, y) of a body point (x, y, z) in body heights."""
        x, y, z = joint
        grow = 1 + self.elevation * (0.5 - y)
        across = (x * self.cos + z * self.sin) * grow + self.roll * (1 - y)
        down = y + 0.5 * self.elevation * y * (1 - y) - 0.15 * self.elevation * self.depth(joint)
        return self.top[0] + across * self.scale, self.top[1] + down * self.scale

    def depth(self, joint: Joint) -> float:
        """Returns how near a body point is to the camera, in body heights; larger is nearer."""
        return joint[2] * self.cos - joint[0] * self.sin

    def size(self, radius: float, y: float) -> float:
        """Converts a radius in body heights to pixels, at height ``y``: 0 at the top, 1 on the ground."""
        return radius * self.scale * (1 + self.elevation * (0.5 - y))


def leg_joints(pose: Pose, side: int, hip: Joint, length: float) -> tuple[Joint, Joint, Joint]:
    """Bends a leg (side -1 left, 1 right) of a length in body heights; returns knee, ankle and toe."""
    wave = math.sin(pose.phase + (0 if side > 0 else math.pi))
    angle = pose.stride * wave
    bend = 0.9 * pose.stride * max(0.0, math.cos(pose.phase + (0 if side > 0 else math.pi)))
    thigh, calf = 0.5 * length, 0.46 * length
    knee = (hip[0], hip[1] + thigh * math.cos(angle), hip[2] + thigh * math.sin(angle))
    low = angle - bend
    ankle = (knee[0], knee[1] + calf * math.cos(low), knee[2] + calf * math.sin(low))
    return knee, ankle, (ankle[0], ankle[1] + 0.015, ankle[2] + 0.065)


def arm_joints(pose: Pose, side: int, shoulder: Joint) -> tuple[Joint, Joint]:
    """Bends an arm (side -1 left, 1 right); returns elbow and wrist."""
    angle = -pose.swing * math.sin(pose.phase + (0 if side > 0 else math.pi))
    bend, upper, fore = pose.elbow, 0.165, 0.155
    if pose.raised == side:
        angle, bend = 0.35, 2.1
    elbow = (shoulder[0] + side * 0.025, shoulder[1] + upper * math.cos(angle), shoulder[2] + upper * math.sin(angle))
    low = angle + bend
    wrist = (elbow[0] - side * 0.005, elbow[1] + fore * math.cos(low), elbow[2] + fore * math.sin(low))
    return elbow, wrist
