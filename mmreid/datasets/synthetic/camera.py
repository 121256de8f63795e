# Copyright (c) mmreid contributors. All rights reserved.
"""Cameras: where they hang, and how they change the colors and details of a scene."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from .domain import DomainSpec, Range
from .streams import golden, stream

MODALITIES = ('visible', 'infrared')  # as in mmreid.structures, which needs torch; drawing does not

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class CameraSpec:
    """One camera.

    Attributes:
        camid (int): Number of the camera, from 0.
        azimuth (float): Usual direction that people face, in radians, see ``pose.Pose``.
        azimuth_spread (float): Spread of that direction between images, in radians.
        turn_prob (float): Probability that a person walks the opposite way.
        elevation (float): Camera height, see ``pose.View``.
        scale (float): Body height as a fraction of the image height.
        crop_jitter (float): Spread of the box error as a fraction of the image height.
        gains (tuple[float, float, float]): Gain of red, green and blue (white balance).
        saturation (float): Color saturation, 1 is neutral.
        hue (float): Rotation of the colors in radians.
        gamma (float): Gamma; above 1 is darker.
        contrast (float): Contrast around middle gray, 1 is neutral.
        lift (float): Gray levels added to the blacks (haze).
        blur (float): Gaussian blur as a fraction of the image height.
        resolution (float): Native resolution as a fraction of the output size.
        noise (float): Sensor noise in gray levels.
        jpeg_quality (int): JPEG quality of the stored image, 1 to 100.
        scene (str): Kind of background, from ``background.SCENES``.
        occlusion_prob (float): Probability that something hides part of the person.
        passerby_prob (float): Probability of another person in the background.
        modality (str): 'visible' or 'infrared'.
        falloff (float): How much darker the edge of the image is than its middle under the camera's own lamp, 0 to 1.
        background_light (float): Fraction of that lamp's light that reaches the background, 0 to 1.
        light (tuple[float, float], optional): Soft light from the left and from above, see ``relief.ReliefPainter``.
            Defaults to None: bodies have dark rims instead.
    """

    camid: int
    azimuth: float
    azimuth_spread: float
    turn_prob: float
    elevation: float
    scale: float
    crop_jitter: float
    gains: tuple[float, float, float]
    saturation: float
    hue: float
    gamma: float
    contrast: float
    lift: float
    blur: float
    resolution: float
    noise: float
    jpeg_quality: int
    scene: str
    occlusion_prob: float
    passerby_prob: float
    modality: str = 'visible'
    falloff: float = 0.0
    background_light: float = 1.0
    light: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.modality not in MODALITIES:
            raise ValueError(f'The modality of camera {self.camid} is {self.modality!r}; use one of {MODALITIES}.')


def sample_camera(seed: int, domain: DomainSpec, camid: int) -> CameraSpec:
    """Makes camera ``camid`` of a domain; more cameras never change the earlier ones.

    What separates cameras (direction, light, gamma) walks in golden-ratio steps over the camera number, so that even
    two cameras differ clearly.
    """
    start = stream(seed, domain.name, 'cameras').random(5).tolist()
    rng = stream(seed, domain.name, 'camera', camid)
    warm = (2 * golden(start[0], camid) - 1) * domain.cast_strength
    tint = rng.uniform(-0.12, 0.12) * domain.cast_strength + domain.tint

    soft = golden(start[4], camid)
    return CameraSpec(
        camid=camid,
        azimuth=2 * math.pi * golden(start[1], camid),
        azimuth_spread=0.35 * domain.pose_variation,
        turn_prob=min(0.5, 0.25 * domain.pose_variation),
        elevation=between(domain.elevation, rng.random()),
        scale=between(domain.scale, rng.random()),
        crop_jitter=0.025 * domain.crop_jitter,
        gains=(math.exp(0.28 * warm), math.exp(0.5 * tint), math.exp(-0.34 * warm)),
        saturation=between(domain.saturation, golden(start[2], camid), min(1.0, domain.cast_strength)),
        hue=rng.uniform(-0.2, 0.2) * domain.cast_strength,
        gamma=between(domain.gamma, golden(start[3], camid), min(1.5, domain.cast_strength)),
        contrast=between(domain.contrast, rng.random(), min(1.0, domain.cast_strength)),
        lift=rng.uniform(0, 24) * min(1.0, domain.cast_strength),
        blur=max(0.0, between(domain.blur, soft)) * domain.blur_strength,
        resolution=max(0.2, 1 - (1 - between(domain.resolution, 1 - soft)) * domain.blur_strength),
        noise=between(domain.noise, rng.random()) * domain.noise_strength,
        jpeg_quality=round(between(domain.jpeg_quality, rng.random())),
        scene=domain.scenes[camid % len(domain.scenes)],
        occlusion_prob=domain.occlusion_prob,
        passerby_prob=domain.passerby_prob,
        light=_side_light(seed, domain, camid),
    )


def _side_light(seed: int, domain: DomainSpec, camid: int) -> tuple[float, float] | None:
    """Draws where the soft light of a camera comes from: always from above, from either side."""
    if domain.light[1] <= 0:
        return None
    rng = stream(seed, domain.name, 'light', camid)
    angle, strength = rng.uniform(0.15, math.pi - 0.15), between(domain.light, rng.random())
    return strength * math.cos(angle), strength * math.sin(angle)


def between(limits: Range, position: float, strength: float = 1.0) -> float:
    """Returns the value at ``position`` (0 to 1) of a range; ``strength`` 0 makes it 1, 1 leaves it as it is."""
    value = limits[0] + (limits[1] - limits[0]) * position
    return 1 + (value - 1) * strength


def photograph(scene: np.ndarray, camera: CameraSpec, rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Takes an image, ``size`` (H, W, 3) uint8 RGB, of a larger scene: resolution, blur, colors, tone curve, noise."""
    if camera.modality != 'visible':
        raise ValueError(f'Camera {camera.camid} is {camera.modality!r}; use photograph_infrared for it.')
    jitter = rng.normal(0, 1, 6)
    image = shrink(scene, camera, size, 1 + 0.08 * jitter[0])
    gains = np.asarray(camera.gains) * np.exp(0.03 * jitter[1:4])
    image = cv2.transform(image, color_matrix(tuple(gains), camera.saturation, camera.hue))
    image = cv2.LUT(image, tone_curve(camera, camera.gamma * math.exp(0.08 * jitter[4]), 1 + 0.05 * jitter[5]))
    if camera.noise <= 0:
        return image
    grain = rng.standard_normal(image.shape, np.float32)
    grain *= camera.noise
    return cv2.add(image, grain, dtype=cv2.CV_8U)


def color_matrix(gains: tuple[float, float, float], saturation: float, hue: float) -> np.ndarray:
    """Builds the (3, 3) float32 color transform of a camera for RGB columns; ``hue`` is in radians."""
    third, root = (1 - math.cos(hue)) / 3, math.sqrt(1 / 3) * math.sin(hue)
    turn = np.full((3, 3), third) + np.eye(3) * math.cos(hue)
    turn += root * np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    mix = saturation * np.eye(3) + (1 - saturation) * np.tile(_LUMA, (3, 1))
    return (np.diag(gains) @ mix @ turn).astype(np.float32)


def shrink(scene: np.ndarray, camera: CameraSpec, size: tuple[int, int], zoom: float) -> np.ndarray:
    """Shrinks a uint8 scene to the native resolution of a camera, enlarges it to ``size``, and blurs it."""
    height, width = size
    fraction = min(1.0, camera.resolution * zoom)
    small = (max(8, round(width * fraction)), max(8, round(height * fraction)))
    image = cv2.resize(scene, small, interpolation=cv2.INTER_AREA)
    if small != (width, height):
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    sigma = camera.blur * height * zoom
    return cv2.GaussianBlur(image, (0, 0), sigma) if sigma > 0.2 else image


def tone_curve(camera: CameraSpec, gamma: float, exposure: float) -> np.ndarray:
    """Joins gamma, exposure, contrast and haze of a camera in a (256,) uint8 table."""
    level = (np.arange(256, dtype=np.float32) / 255) ** max(0.2, gamma) * exposure
    level = (level - 0.45) * camera.contrast + 0.45
    return np.clip(level * (255 - camera.lift) + camera.lift, 0, 255).astype(np.uint8)
