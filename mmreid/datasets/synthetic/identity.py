# Copyright (c) mmreid contributors. All rights reserved.
"""Who a person is: the attributes that are the same in every image."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, fields, replace
from itertools import accumulate

import numpy as np

RGB = tuple[int, int, int]

CLOTH_COLORS: dict[str, RGB] = {
    'black': (28, 28, 32),
    'charcoal': (72, 74, 80),
    'gray': (140, 142, 146),
    'white': (232, 232, 228),
    'beige': (205, 184, 146),
    'brown': (112, 72, 44),
    'red': (196, 34, 40),
    'maroon': (108, 22, 38),
    'orange': (232, 122, 30),
    'yellow': (230, 200, 50),
    'lime': (140, 190, 50),
    'green': (34, 122, 62),
    'teal': (24, 136, 140),
    'sky': (112, 172, 222),
    'blue': (38, 84, 190),
    'navy': (26, 36, 88),
    'purple': (112, 50, 146),
    'pink': (230, 128, 166),
}
#: Colors that most clothes on a street have, besides the grays above.
DULL_COLORS: dict[str, RGB] = {
    'chocolate': (58, 42, 36), 'wine': (88, 32, 44), 'rust': (140, 78, 52), 'olive': (84, 84, 58),
    'khaki': (150, 136, 104), 'cream': (222, 212, 190), 'slate': (98, 108, 120), 'steel': (72, 104, 150),
    'ice': (178, 204, 222), 'dark denim': (46, 56, 82), 'denim': (84, 106, 142), 'faded denim': (132, 152, 180),
}  # fmt: skip
SKIN_COLORS: tuple[RGB, ...] = ((240, 204, 176), (222, 178, 142), (186, 136, 100), (136, 92, 64), (88, 58, 42))
HAIR_COLORS: tuple[RGB, ...] = (
    (22, 18, 18), (58, 38, 26), (112, 76, 44), (196, 160, 96), (150, 60, 34), (160, 158, 156),
)  # fmt: skip
HAIR_STYLES = ('short', 'long', 'bun', 'curly', 'bald')
HATS = ('none', 'cap', 'beanie')
TEXTURES = ('plain', 'stripes', 'pinstripes', 'checks', 'logo', 'gradient', 'block', 'quilted')
LOWER_TEXTURES = ('plain', 'pinstripes', 'checks')
SLEEVES = ('long', 'short', 'none')
HEMS = ('normal', 'cropped', 'coat')
LOWER_KINDS = ('trousers', 'shorts', 'skirt')
BAGS = ('none', 'backpack', 'handbag', 'shoulder')
TWO_TONES = ('none', 'sleeves', 'shirt')


@dataclass(frozen=True)
class CutSpec:
    """How the clothes of one domain are cut, where people do not all wear the same cut.

    Attributes:
        bulk (tuple[float, float]): Range of the thickness of upper clothes, 1 is thin cloth.
        leg_width (tuple[float, float]): Range of the width of trouser legs, 1 is usual.
        sleeve_fraction (float): Fraction of the people whose sleeves have the second color, 0 to 1.
        open_fraction (float): Fraction of the people whose jacket is open over a shirt of the second color, 0 to 1.
        hair_colors (tuple[float, ...]): Weights of ``HAIR_COLORS``.
        color_spread (int): How far a color may be from its name, in each channel; 12 without a cut.
    """

    bulk: tuple[float, float]
    leg_width: tuple[float, float]
    sleeve_fraction: float
    open_fraction: float
    hair_colors: tuple[float, ...]
    color_spread: int


@dataclass(frozen=True)
class ClothingSpec:
    """What the people of one domain like to wear: a weight for each choice.

    Attributes:
        colors (dict[str, float]): Weight of each name in ``CLOTH_COLORS`` or ``DULL_COLORS`` for upper clothes;
            others are not worn.
        lower_colors (dict[str, float]): The same for trousers and skirts.
        textures (tuple[float, ...]): Weights of ``TEXTURES``.
        lower_textures (tuple[float, ...]): Weights of ``LOWER_TEXTURES``.
        sleeves (tuple[float, ...]): Weights of ``SLEEVES``.
        hems (tuple[float, ...]): Weights of ``HEMS``.
        lower_kinds (tuple[float, ...]): Weights of ``LOWER_KINDS``.
        bags (tuple[float, ...]): Weights of ``BAGS``.
        hats (tuple[float, ...]): Weights of ``HATS``.
        hair_styles (tuple[float, ...]): Weights of ``HAIR_STYLES``.
        skins (tuple[float, ...]): Weights of ``SKIN_COLORS``.
        cut (CutSpec, optional): How clothes are cut. Defaults to None: all alike.
    """

    colors: dict[str, float]
    lower_colors: dict[str, float]
    textures: tuple[float, ...] = (5, 2, 1.5, 2, 2, 1, 2)
    lower_textures: tuple[float, ...] = (6, 1, 1)
    sleeves: tuple[float, ...] = (4, 5, 1)
    hems: tuple[float, ...] = (6, 2, 1)
    lower_kinds: tuple[float, ...] = (6, 3, 2)
    bags: tuple[float, ...] = (4, 3, 2, 2)
    hats: tuple[float, ...] = (7, 2, 1)
    hair_styles: tuple[float, ...] = (5, 4, 2, 2, 1)
    skins: tuple[float, ...] = (3, 3, 2, 2, 1)
    cut: CutSpec | None = None


@dataclass(frozen=True)
class PersonSpec:
    """One person. Every field is one attribute; colors are RGB in 0..255, lengths are relative to an average body.

    Attributes:
        height (float): Body height, about 0.88 to 1.08.
        build (float): Body width, about 0.85 to 1.3.
        leg_ratio (float): Fraction of the body below the hip, about 0.46 to 0.52.
        skin (tuple[int, int, int]): Skin color.
        hair_color (tuple[int, int, int]): Hair color.
        hair_style (str): One of ``HAIR_STYLES``.
        hat (str): One of ``HATS``.
        hat_color (tuple[int, int, int]): Color of the hat, if any.
        upper_color (tuple[int, int, int]): Main color of the upper clothes.
        upper_accent (tuple[int, int, int]): Second color of their texture.
        upper_texture (str): One of ``TEXTURES``.
        upper_period (float): Period of stripes and checks as a fraction of the body height.
        sleeve (str): One of ``SLEEVES``.
        hem (str): One of ``HEMS``: how far down the upper clothes reach.
        lower_kind (str): One of ``LOWER_KINDS``.
        lower_color (tuple[int, int, int]): Main color of the lower clothes.
        lower_accent (tuple[int, int, int]): Second color of their texture.
        lower_texture (str): One of ``LOWER_TEXTURES``.
        shoe_color (tuple[int, int, int]): Color of the shoes.
        bag (str): One of ``BAGS``.
        bag_color (tuple[int, int, int]): Color of the bag, if any.
        bulk (float): Thickness of the upper clothes, 1 is thin cloth.
        leg_width (float): Width of the trouser legs, 1 is usual.
        two_tone (str): What has ``upper_accent`` besides the texture: one of ``TWO_TONES``.
    """

    height: float
    build: float
    leg_ratio: float
    skin: RGB
    hair_color: RGB
    hair_style: str
    hat: str
    hat_color: RGB
    upper_color: RGB
    upper_accent: RGB
    upper_texture: str
    upper_period: float
    sleeve: str
    hem: str
    lower_kind: str
    lower_color: RGB
    lower_accent: RGB
    lower_texture: str
    shoe_color: RGB
    bag: str
    bag_color: RGB
    bulk: float = 1.0
    leg_width: float = 1.0
    two_tone: str = 'none'

    def differences(self, other: PersonSpec) -> list[str]:
        """Names the attributes in which two people differ, in the order of the fields."""
        return [field.name for field in fields(self) if getattr(self, field.name) != getattr(other, field.name)]


def color_distance(first: RGB, second: RGB) -> float:
    """Returns the Euclidean distance of two RGB colors, 0 to 442."""
    return float(np.linalg.norm(np.subtract(first, second, dtype=float)))


def sample_person(rng: np.random.Generator, clothing: ClothingSpec) -> PersonSpec:
    """Draws one person who wears what is usual in a domain."""
    spread = clothing.cut.color_spread if clothing.cut else 12
    upper = _cloth_color(rng, clothing.colors, spread)
    lower = _cloth_color(rng, clothing.lower_colors, spread)
    person = PersonSpec(
        height=round(float(rng.uniform(0.88, 1.08)), 3),
        build=round(float(rng.uniform(0.85, 1.3)), 3),
        leg_ratio=round(float(rng.uniform(0.46, 0.52)), 3),
        skin=_near(rng, SKIN_COLORS[_choose(rng, clothing.skins)], 8),
        hair_color=_near(rng, HAIR_COLORS[int(rng.integers(len(HAIR_COLORS)))], 8),
        hair_style=HAIR_STYLES[_choose(rng, clothing.hair_styles)],
        hat=HATS[_choose(rng, clothing.hats)],
        hat_color=_cloth_color(rng, clothing.colors, spread),
        upper_color=upper,
        upper_accent=_contrasting(rng, clothing.colors, upper, spread),
        upper_texture=TEXTURES[_choose(rng, clothing.textures)],
        upper_period=round(float(rng.uniform(0.06, 0.11)), 3),
        sleeve=SLEEVES[_choose(rng, clothing.sleeves)],
        hem=HEMS[_choose(rng, clothing.hems)],
        lower_kind=LOWER_KINDS[_choose(rng, clothing.lower_kinds)],
        lower_color=lower,
        lower_accent=_contrasting(rng, clothing.lower_colors, lower, spread),
        lower_texture=LOWER_TEXTURES[_choose(rng, clothing.lower_textures)],
        shoe_color=_cloth_color(rng, clothing.colors, spread),
        bag=BAGS[_choose(rng, clothing.bags)],
        bag_color=_contrasting(rng, clothing.colors, upper, spread),
    )
    return person if clothing.cut is None else _cut(rng, person, clothing.cut)


def _cut(rng: np.random.Generator, person: PersonSpec, cut: CutSpec) -> PersonSpec:
    """Draws how the clothes of a person are cut, and a natural color of hair."""
    shares = (1 - cut.sleeve_fraction - cut.open_fraction, cut.sleeve_fraction, cut.open_fraction)
    return replace(
        person,
        hair_color=_near(rng, HAIR_COLORS[_choose(rng, cut.hair_colors)], 12),
        bulk=round(float(rng.uniform(*cut.bulk)), 3),
        leg_width=round(float(rng.uniform(*cut.leg_width)), 3),
        two_tone=TWO_TONES[_choose(rng, shares)],
    )


def _choose(rng: np.random.Generator, weights: tuple[float, ...]) -> int:
    """Draws an index in proportion to the weights."""
    total = list(accumulate(weights))
    return bisect_right(total, rng.random() * total[-1])


def _cloth_color(rng: np.random.Generator, weights: dict[str, float], spread: int) -> RGB:
    """Draws a named color, up to ``spread`` off its center."""
    names = list(weights)
    name = names[_choose(rng, tuple(weights.values()))]
    return _near(rng, DULL_COLORS[name] if name in DULL_COLORS else CLOTH_COLORS[name], spread)


def _contrasting(rng: np.random.Generator, weights: dict[str, float], base: RGB, spread: int) -> RGB:
    """Draws a color that is visibly different from another; black or white if chance does not bring one."""
    for _ in range(12):
        color = _cloth_color(rng, weights, spread)
        if color_distance(color, base) > 110:
            return color
    return CLOTH_COLORS['white'] if sum(base) < 380 else CLOTH_COLORS['black']


def _near(rng: np.random.Generator, color: RGB, spread: int) -> RGB:
    """Moves a color a little."""
    moves = rng.integers(-spread, spread + 1, 3).tolist()
    red, green, blue = (min(max(channel + move, 0), 255) for channel, move in zip(color, moves, strict=True))
    return red, green, blue
