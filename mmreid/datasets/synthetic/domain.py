# Copyright (c) mmreid contributors. All rights reserved.
"""Domains: a family of cameras and a clothing distribution, with all knobs of difficulty."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from .identity import CLOTH_COLORS, ClothingSpec

Range = tuple[float, float]


@dataclass(frozen=True)
class DomainSpec:
    """How one place looks: who walks there and which cameras hang there.

    Ranges are (low, high); each camera draws its own value from them.

    Attributes:
        name (str): Name of the domain.
        clothing (ClothingSpec): What people wear.
        scenes (tuple[str, ...]): Kinds of background, from ``background.SCENES``.
        cluster_fraction (float): Share of people in clusters of near-duplicates, 0 to 1.
        cluster_size (int): People in such a cluster, 2 or 3.
        cast_strength (float): Strength of white balance and tint differences; 0 none, 1 as designed, 2 extreme.
        blur_strength (float): Strength of blur and low resolution; 0 none, 1 as designed.
        noise_strength (float): Strength of sensor noise; 0 none, 1 as designed.
        crop_jitter (float): Strength of misaligned boxes; 0 perfect boxes, 1 as designed.
        pose_variation (float): Strength of facing changes inside a camera; 0 one facing per camera, 1 as designed.
        occlusion_prob (float): Probability that something stands before the person, 0 to 1.
        passerby_prob (float): Probability of another person in the background, 0 to 1.
        saturation (tuple[float, float]): Colour saturation of the cameras, 1 is neutral.
        gamma (tuple[float, float]): Gamma of the cameras; above 1 is darker.
        contrast (tuple[float, float]): Contrast of the cameras, 1 is neutral.
        tint (float): Green-magenta offset of all cameras, such as +0.1 under fluorescent light.
        resolution (tuple[float, float]): Native resolution as a share of the output size, 0 to 1.
        blur (tuple[float, float]): Gaussian blur as a share of the picture height.
        noise (tuple[float, float]): Noise in grey levels.
        jpeg_quality (tuple[int, int]): JPEG quality, 1 to 100.
        elevation (tuple[float, float]): Camera height, see ``pose.View``.
        scale (tuple[float, float]): Body height as a share of the picture height.
    """

    name: str
    clothing: ClothingSpec
    scenes: tuple[str, ...]
    cluster_fraction: float = 0.3
    cluster_size: int = 3
    cast_strength: float = 1.0
    blur_strength: float = 1.0
    noise_strength: float = 1.0
    crop_jitter: float = 1.0
    pose_variation: float = 1.0
    occlusion_prob: float = 0.15
    passerby_prob: float = 0.15
    saturation: Range = (0.6, 1.2)
    gamma: Range = (0.7, 1.45)
    contrast: Range = (0.75, 1.2)
    tint: float = 0.0
    resolution: Range = (0.5, 1.0)
    blur: Range = (0.0, 0.009)
    noise: Range = (2.0, 9.0)
    jpeg_quality: tuple[int, int] = (60, 92)
    elevation: Range = (0.0, 0.4)
    scale: Range = (0.8, 0.92)


_ALL = dict.fromkeys(CLOTH_COLORS, 1.0)
_SUMMER = ClothingSpec(
    colors=_ALL | {'black': 2.0, 'white': 2.0, 'grey': 1.5},
    lower_colors={'black': 3, 'charcoal': 2, 'navy': 2, 'blue': 2, 'grey': 2, 'beige': 2, 'white': 1, 'brown': 1.5,
                  'red': 0.7, 'green': 0.7, 'sky': 1, 'maroon': 0.7, 'purple': 0.5, 'pink': 0.5},
)  # fmt: skip
_WINTER = ClothingSpec(
    colors={'black': 4, 'charcoal': 3, 'navy': 3, 'grey': 2, 'brown': 2, 'maroon': 2, 'beige': 1.5, 'green': 1.5,
            'white': 1, 'red': 1, 'teal': 1, 'purple': 1, 'blue': 1, 'orange': 0.5, 'yellow': 0.5},
    lower_colors={'black': 4, 'charcoal': 3, 'navy': 3, 'blue': 2, 'grey': 2, 'brown': 1.5, 'beige': 1, 'maroon': 0.5},
    textures=(5, 1, 1, 2, 1, 0.5, 3),
    sleeves=(9, 1, 0),
    hems=(4, 1, 4),
    lower_kinds=(8, 0.5, 1.5),
    bags=(3, 4, 2, 2),
    hats=(5, 1.5, 3),
)  # fmt: skip

DOMAINS: dict[str, DomainSpec] = {
    'default': DomainSpec('default', _SUMMER, ('street', 'park', 'plaza')),
    'other': DomainSpec(
        'other', _WINTER, ('corridor', 'station', 'street'),
        saturation=(0.45, 1.0), gamma=(0.8, 1.45), contrast=(0.75, 1.1), tint=0.08, resolution=(0.4, 0.8),
        blur=(0.002, 0.011), noise=(3.0, 10.0), jpeg_quality=(45, 80), elevation=(0.2, 0.6), scale=(0.74, 0.88),
        occlusion_prob=0.2, passerby_prob=0.25,
    ),
}  # fmt: skip


def get_domain(name: str, **knobs: float) -> DomainSpec:
    """Look a domain up and change some of its knobs.

    Args:
        name (str): A key of ``DOMAINS``.
        **knobs: Fields of ``DomainSpec`` to replace.

    Returns:
        DomainSpec: The domain.

    Raises:
        ValueError: If there is no such domain or knob, or a probability is outside 0 to 1.
    """
    if name not in DOMAINS:
        raise ValueError(f'There is no domain {name!r}; use one of {sorted(DOMAINS)}.')
    known = {field.name for field in fields(DomainSpec)} - {'name'}
    unknown = sorted(set(knobs) - known)
    if unknown:
        raise ValueError(f'A domain has no knob {unknown[0]!r}; use one of {sorted(known)}.')
    for knob, value in knobs.items():
        if knob.endswith(('_prob', '_fraction')) and not 0 <= value <= 1:
            raise ValueError(f'{knob} is a probability, but got {value}; use 0 to 1.')
        if knob.endswith(('_strength', '_jitter', '_variation')) and not value >= 0:
            raise ValueError(f'{knob} is a strength, but got {value}; use 0 or more.')
    return replace(DOMAINS[name], **knobs)
