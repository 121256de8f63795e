# Copyright (c) mmreid contributors. All rights reserved.
"""Domains: a family of cameras and a distribution of clothing, with all knobs of difficulty."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

from .clothes import BEACH, EVERYDAY, EVERYTHING, SUMMER, WINTER, WORK
from .identity import ClothingSpec

Range = tuple[float, float]


@dataclass(frozen=True)
class DomainSpec:
    """How one place looks: who walks there and which cameras hang there.

    Ranges are (low, high); each camera draws its own value from them.

    Attributes:
        name (str): Name of the domain.
        clothing (ClothingSpec): What people wear.
        scenes (tuple[str, ...]): Kinds of background, from ``background.SCENES``.
        cluster_fraction (float): Fraction of people in clusters of near-duplicates, 0 to 1.
        cluster_size (int): People in such a cluster, 2 or 3.
        cast_strength (float): Strength of white balance and tint differences; 0 none, 1 as designed, 2 extreme.
        blur_strength (float): Strength of blur and low resolution; 0 none, 1 as designed.
        noise_strength (float): Strength of sensor noise; 0 none, 1 as designed.
        crop_jitter (float): Strength of misaligned boxes; 0 perfect boxes, 1 as designed.
        pose_variation (float): Strength of changes of direction within a camera; 0 one per camera, 1 as designed.
        occlusion_prob (float): Probability that something hides part of the person, 0 to 1.
        passerby_prob (float): Probability of another person in the background, 0 to 1.
        saturation (tuple[float, float]): Color saturation of the cameras, 1 is neutral.
        gamma (tuple[float, float]): Gamma of the cameras; above 1 is darker.
        contrast (tuple[float, float]): Contrast of the cameras, 1 is neutral.
        tint (float): Green-magenta offset of all cameras, such as +0.1 under fluorescent light.
        resolution (tuple[float, float]): Native resolution as a fraction of the output size, 0 to 1.
        blur (tuple[float, float]): Gaussian blur as a fraction of the image height.
        noise (tuple[float, float]): Noise in gray levels.
        jpeg_quality (tuple[int, int]): JPEG quality, 1 to 100.
        elevation (tuple[float, float]): Camera height, see ``pose.View``.
        scale (tuple[float, float]): Body height as a fraction of the image height.
        light (tuple[float, float]): Strength of soft light from one side; 0: bodies have dark rims instead.
        folds (float): Contrast of folds in cloth that is lit so, 0 to 1.
        tight_boxes (bool): Whether boxes fit each person, so that everybody fills the image.
        ir_strength (float): Strength of gain, level, contrast and lamp of the infrared cameras; 0 makes them equal and
            neutral, 1 as designed.
        ir_color_dependence (float): How much the infrared reflectance follows the visible color: 0 not at all, 1 it
            is the luminance.
        ir_texture (float): Fraction of the contrast of prints and patterns that infrared keeps on average, 0 to 1.
        ir_gain (tuple[float, float]): Gain of the infrared cameras, 1 is neutral.
        ir_level (tuple[float, float]): Gray levels added to their blacks.
        ir_contrast (tuple[float, float]): Their contrast around middle gray, 1 is neutral.
        ir_noise (tuple[float, float]): Their noise in gray levels, scaled by ``noise_strength``.
        ir_falloff (tuple[float, float]): How much darker the edge of the image is than the middle under the lamp, 0
            to 1.
        ir_background (tuple[float, float]): Fraction of the lamp's light that reaches the background, 0 to 1.
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
    light: Range = (0.0, 0.0)
    folds: float = 0.0
    tight_boxes: bool = False
    ir_strength: float = 1.0
    ir_color_dependence: float = 0.2
    ir_texture: float = 0.4
    ir_gain: Range = (0.75, 1.3)
    ir_level: Range = (10.0, 55.0)
    ir_contrast: Range = (0.6, 0.95)
    ir_noise: Range = (3.0, 8.0)
    ir_falloff: Range = (0.2, 0.55)
    ir_background: Range = (0.5, 0.85)


DOMAINS: dict[str, DomainSpec] = {
    # Mixed streets and parks in fair weather.
    'default': DomainSpec('default', SUMMER, ('street', 'park', 'plaza')),
    # A cold season under fluorescent light, with poor cameras high up.
    'other': DomainSpec(
        'other', WINTER, ('corridor', 'station', 'street'),
        saturation=(0.45, 1.0), gamma=(0.8, 1.45), contrast=(0.75, 1.1), tint=0.08, resolution=(0.4, 0.8),
        blur=(0.002, 0.011), noise=(3.0, 10.0), jpeg_quality=(45, 80), elevation=(0.2, 0.6), scale=(0.74, 0.88),
        occlusion_prob=0.2, passerby_prob=0.25,
    ),
    # Glaring light, bare arms and legs, sharp and saturated cameras at eye level.
    'beach': DomainSpec(
        'beach', BEACH, ('beach', 'plaza', 'park'),
        saturation=(1.0, 1.5), gamma=(0.5, 0.8), contrast=(0.9, 1.15), tint=-0.03, resolution=(0.75, 1.0),
        blur=(0.0, 0.004), noise=(1.0, 4.0), jpeg_quality=(75, 95), elevation=(0.0, 0.2), scale=(0.72, 0.9),
        occlusion_prob=0.1, passerby_prob=0.3,
    ),
    # Offices after dark: dim, pale and noisy, where infrared cameras belong.
    'night': DomainSpec(
        'night', WORK, ('corridor', 'station'),
        saturation=(0.3, 0.7), gamma=(1.4, 2.2), contrast=(0.75, 1.0), tint=0.03, resolution=(0.45, 0.85),
        blur=(0.001, 0.008), noise=(6.0, 14.0), jpeg_quality=(55, 85), elevation=(0.1, 0.5), scale=(0.82, 0.95),
        occlusion_prob=0.15, passerby_prob=0.1, ir_background=(0.3, 0.6), ir_falloff=(0.3, 0.65),
    ),
    # A bit of everything, for warm starts. Not for tests: its people must not appear anywhere else.
    'pretrain': DomainSpec(
        'pretrain', EVERYTHING, ('street', 'park', 'plaza', 'corridor', 'station', 'beach'),
        cluster_fraction=0.2, cast_strength=1.2, saturation=(0.4, 1.3), gamma=(0.6, 1.7), contrast=(0.7, 1.2),
        resolution=(0.4, 1.0), blur=(0.0, 0.011), noise=(1.0, 11.0), jpeg_quality=(45, 95), elevation=(0.0, 0.6),
        scale=(0.74, 0.94), occlusion_prob=0.2, passerby_prob=0.2,
    ),
    # Dull daylight on streets and lawns, everyday clothes, boxes that fit: the closest to real footage.
    'daylight': DomainSpec(
        'daylight', EVERYDAY, ('asphalt', 'lawn', 'street', 'asphalt', 'plaza', 'asphalt', 'park'),
        cast_strength=0.5, saturation=(0.5, 1.15), gamma=(0.8, 1.35), contrast=(0.9, 1.3), resolution=(0.3, 0.9),
        blur=(0.0, 0.009), noise=(0.5, 4.0), jpeg_quality=(45, 92), elevation=(0.0, 0.45), scale=(0.8, 0.92),
        pose_variation=2.5, crop_jitter=1.2, passerby_prob=0.25, light=(0.15, 0.5), folds=0.1, tight_boxes=True,
    ),
}  # fmt: skip
# Knobs that are fractions, besides those whose names end in _prob or _fraction.
_FRACTIONS = ('ir_color_dependence', 'ir_texture', 'folds')


def get_domain(name: str, **knobs: float) -> DomainSpec:
    """Returns a domain with some knobs replaced; raises a ValueError for unknown names and wrong values."""
    if name not in DOMAINS:
        raise ValueError(f'There is no domain {name!r}; use one of {sorted(DOMAINS)}.')
    known = {field.name for field in fields(DomainSpec)} - {'name'}
    unknown = sorted(set(knobs) - known)
    if unknown:
        raise ValueError(f'A domain has no knob {unknown[0]!r}; use one of {sorted(known)}.')
    domain = replace(DOMAINS[name], **knobs)
    for knob in knobs:
        _check_knob(knob, getattr(domain, knob), getattr(DOMAINS[name], knob))
    return domain


def _check_knob(knob: str, value: object, usual: object) -> None:
    """Refuses values that would only fail, or look odd, much later."""
    if knob.endswith(('_prob', '_fraction')) and not 0 <= value <= 1:
        raise ValueError(f'{knob} is a probability, but got {value}; use 0 to 1.')
    if knob in _FRACTIONS and not 0 <= value <= 1:
        raise ValueError(f'{knob} is a fraction, but got {value}; use 0 to 1.')
    if knob.endswith(('_strength', '_jitter', '_variation')) and not 0 <= value < math.inf:
        raise ValueError(f'{knob} is a strength, but got {value}; use 0 or more.')
    if knob != 'scenes' and isinstance(usual, tuple) and not _is_range(value):
        raise ValueError(f'{knob} is a range, but got {value}; use (low, high), such as {usual}.')


def _is_range(value: object) -> bool:
    """Returns whether something is two finite numbers, the lower first."""
    if not isinstance(value, tuple | list) or len(value) != 2:
        return False
    return all(isinstance(end, int | float) and math.isfinite(end) for end in value) and value[0] <= value[1]
