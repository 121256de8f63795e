# Copyright (c) mmreid contributors. All rights reserved.
"""Near-infrared reflectance: how bright people and things are under an infrared lamp."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import cv2
import numpy as np

from .domain import DomainSpec
from .identity import RGB, PersonSpec
from .streams import stream

_LUMA = (0.299, 0.587, 0.114)
# Ranges of gray levels of the materials. Most dyes let infrared through, so cloth is brighter than it looks; skin is
# bright whatever its color.
_CLOTH, _BAG, _SKIN, _HAIR = (60.0, 225.0), (40.0, 215.0), (190.0, 220.0), (65.0, 165.0)
_THINGS, _LEAVES = (70.0, 200.0), 215.0
# Colors are looked up in steps of 8 levels.
_SHIFT, _STEPS = 3, 32


def person_in_infrared(person: PersonSpec, seed: int, domain: DomainSpec) -> PersonSpec:
    """Returns how a person looks in near-infrared: the same body and clothes, with grays for colors.

    Each garment has a reflectance that depends on its owner and its dye: the same for all cameras and images, and for
    the near-duplicates that wear it. Each print or pattern keeps a random fraction of its contrast, ``ir_texture`` of
    the domain on average.
    """
    # The body tells owners apart: near-duplicates share it, two other people do not.
    owner = [round(1000 * length) for length in (person.height, person.build, person.leg_ratio)]

    def draw(part: str, color: RGB, limits: tuple[float, float]) -> tuple[float, float]:
        """Returns the gray level of a material, and a second number in [0, 1) that belongs to it."""
        position, luck = _hash_numbers(seed, domain.name, part, *owner, *color)
        drawn = limits[0] + (limits[1] - limits[0]) * position
        return _mix(color, drawn, domain.ir_color_dependence), luck

    def plain(part: str, color: RGB, limits: tuple[float, float]) -> RGB:
        return _gray(draw(part, color, limits)[0])

    def patterned(part: str, color: RGB, accent: RGB) -> tuple[RGB, RGB]:
        base = draw(part, color, _CLOTH)[0]
        second, luck = draw(f'{part}_accent', accent, _CLOTH)
        return _gray(base), _gray(base + _kept(luck, domain.ir_texture) * (second - base))

    upper, upper_accent = patterned('upper', person.upper_color, person.upper_accent)
    lower, lower_accent = patterned('lower', person.lower_color, person.lower_accent)
    return replace(
        person,
        skin=plain('skin', person.skin, _SKIN),
        hair_color=plain('hair', person.hair_color, _HAIR),
        hat_color=plain('hat', person.hat_color, _CLOTH),
        upper_color=upper,
        upper_accent=upper_accent,
        lower_color=lower,
        lower_accent=lower_accent,
        shoe_color=plain('shoe', person.shoe_color, _CLOTH),
        bag_color=plain('bag', person.bag_color, _BAG),
    )


class Surroundings:
    """Near-infrared reflectance of everything that is not a person.

    It is a smooth random function of the visible color, one for the whole world; green things are plants, which are
    bright.

    Args:
        seed (int): Seed of the world.
        domain (DomainSpec): Domain; its ``ir_color_dependence`` is used.
    """

    def __init__(self, seed: int, domain: DomainSpec) -> None:
        corners = stream(seed, domain.name, 'infrared', 'surroundings').uniform(*_THINGS, (3, 3, 3))
        for axis in range(3):
            corners = np.apply_along_axis(_spread, axis, corners)
        levels = (np.arange(_STEPS) << _SHIFT) + (1 << _SHIFT >> 1)
        red, green, blue = np.meshgrid(levels, levels, levels, indexing='ij')
        leaves = np.clip((2 * green - red - blue) / 100, 0, 1)
        drawn = corners + leaves * (_LEAVES - corners)
        self._table = np.clip(_mix((red, green, blue), drawn, domain.ir_color_dependence), 0, 255).astype(np.uint8)

    def color(self, color: RGB) -> RGB:
        """Translates one RGB color into a gray level, three times."""
        return _gray(self._table[tuple(channel >> _SHIFT for channel in color)])

    def translate(self, image: np.ndarray) -> np.ndarray:
        """Translates an image, (H, W, 3) uint8 RGB, into one with three equal channels."""
        red, green, blue = cv2.split(image >> _SHIFT)
        gray = self._table[red, green, blue]
        return cv2.merge((gray, gray, gray))


def _hash_numbers(*key: int | str) -> tuple[float, float]:
    """Makes two uniform numbers in [0, 1) that belong to a key; far cheaper than a generator for each garment."""
    digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
    return int.from_bytes(digest[:4], 'little') / 2**32, int.from_bytes(digest[4:], 'little') / 2**32


def _mix(color, drawn, dependence: float):
    """Goes from a drawn reflectance to the luminance of a color as the dependence goes from 0 to 1."""
    luminance = sum(weight * channel for weight, channel in zip(_LUMA, color, strict=True))
    return dependence * luminance + (1 - dependence) * drawn


def _kept(luck: float, average: float) -> float:
    """Draws a fraction, 0 to 1, with a given average: a power of a uniform number."""
    return luck ** ((1 - average) / average) if average > 0 else 0.0


def _spread(ends: np.ndarray) -> np.ndarray:
    """Interpolates three values to the steps of the table."""
    return np.interp(np.linspace(0, 2, _STEPS), np.arange(3), ends)


def _gray(level: float) -> RGB:
    value = int(np.clip(round(float(level)), 0, 255))
    return value, value, value
