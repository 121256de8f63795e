# Copyright (c) mmreid contributors. All rights reserved.
"""Infrared cameras: a lamp of their own, one channel, and another sensor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from .camera import CameraSpec, between, shrink, tone_curve
from .domain import DomainSpec
from .streams import golden, stream


def check_infrared(infrared: Sequence[int], cameras: int) -> tuple[int, ...]:
    """Returns infrared cameras, sorted; raises a ValueError if one does not exist or is named twice."""
    chosen = tuple(infrared)
    for camid in chosen:
        if camid not in range(cameras) or chosen.count(camid) > 1:
            raise ValueError(
                f'infrared is {chosen}, but it names some of the {cameras} cameras, each once; camids are 0 to '
                f'{cameras - 1}.'
            )
    return tuple(sorted(int(camid) for camid in chosen))


def infrared_camera(camera: CameraSpec, seed: int, domain: DomainSpec) -> CameraSpec:
    """Replaces a visible camera by an infrared sensor and a lamp; place, sharpness and surroundings stay."""
    start = stream(seed, domain.name, 'infrared cameras').random(2).tolist()
    rng = stream(seed, domain.name, 'infrared camera', camera.camid)
    gain = between(domain.ir_gain, golden(start[0], camera.camid), domain.ir_strength)
    level = between(domain.ir_level, golden(start[1], camera.camid)) * domain.ir_strength
    falloff = between(domain.ir_falloff, rng.random()) * domain.ir_strength
    background = 1 - (1 - between(domain.ir_background, rng.random())) * domain.ir_strength
    return replace(
        camera,
        modality='infrared',
        gains=(max(0.1, gain),) * 3,
        saturation=0.0,
        hue=0.0,
        gamma=1.0,
        contrast=max(0.1, between(domain.ir_contrast, rng.random(), domain.ir_strength)),
        lift=min(level, 200.0),
        noise=between(domain.ir_noise, rng.random()) * domain.noise_strength,
        falloff=min(falloff, 1.0),
        background_light=max(background, 0.0),
    )


def photograph_infrared(
    scene: np.ndarray, camera: CameraSpec, rng: np.random.Generator, size: tuple[int, int]
) -> np.ndarray:
    """Takes an image, ``size`` (H, W, 3) uint8 with equal channels, of a larger scene in infrared reflectances."""
    jitter = rng.normal(0, 1, 6)
    image = shrink(cv2.cvtColor(scene, cv2.COLOR_RGB2GRAY), camera, size, 1 + 0.08 * jitter[0])
    image = cv2.multiply(image, _spot(camera.falloff, size, jitter[1:3]), dtype=cv2.CV_8U)
    exposure = camera.gains[0] * math.exp(0.06 * jitter[3])
    image = cv2.LUT(image, tone_curve(camera, camera.gamma * math.exp(0.08 * jitter[4]), exposure))
    if camera.noise > 0:
        grain = rng.standard_normal(image.shape, np.float32)
        grain *= camera.noise
        image = cv2.add(image, grain, dtype=cv2.CV_8U)
    return cv2.merge((image, image, image))


def _spot(falloff: float, size: tuple[int, int], aim: np.ndarray) -> np.ndarray:
    """Returns the light of the lamp: 1 where it points, lower by ``falloff`` at the distance of half the diagonal."""
    height, width = size
    down = (np.linspace(-0.5, 0.5, height, dtype=np.float32) - np.float32(0.06 * aim[0])) ** 2
    across = (np.linspace(-0.5, 0.5, width, dtype=np.float32) - np.float32(0.06 * aim[1])) ** 2
    return 1 - np.float32(falloff) * np.minimum((down[:, None] + across[None]) * 2, 1)
