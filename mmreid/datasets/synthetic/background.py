# Copyright (c) mmreid contributors. All rights reserved.
"""What is behind the people: panoramas that are painted once per camera and cut for every image."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from .ground import paint_ground

SCENES = ('street', 'park', 'plaza', 'corridor', 'station', 'beach', 'asphalt', 'lawn')
_PANORAMA_WIDTH, _MARGIN = 3.2, 1.3

# Colors of wall and ground, each the center of a wide range.
_WALLS = {
    'street': ((150, 120, 104), (196, 184, 164), (120, 124, 132)),
    'park': ((92, 120, 70), (120, 142, 90), (76, 96, 66)),
    'plaza': ((188, 190, 192), (206, 190, 160), (140, 152, 164)),
    'corridor': ((214, 212, 200), (176, 188, 184), (200, 180, 150)),
    'station': ((120, 124, 126), (150, 138, 118), (92, 104, 116)),
    'beach': ((58, 138, 170), (84, 160, 176), (44, 110, 150)),
}
_GROUNDS = {
    'street': ((118, 116, 114), (142, 136, 128)),
    'park': ((150, 140, 112), (104, 130, 76)),
    'plaza': ((178, 170, 158), (150, 146, 146)),
    'corridor': ((160, 150, 134), (110, 108, 110)),
    'station': ((96, 96, 100), (140, 132, 120)),
    'beach': ((226, 206, 160), (206, 180, 132)),
}


class Backdrop:
    """The scene of one camera.

    Args:
        rng (numpy.random.Generator): Source of randomness of the camera's surroundings.
        scene (str): One of ``SCENES``.
        shape (tuple[int, int]): Height and width of the canvas in pixels.
        sites (int): Number of different places that the camera sees.
        reflect (Callable, optional): Turns an image in visible colors into the painted one, see
            ``reflectance.Surroundings.translate``. Defaults to None: the same image.

    Raises:
        ValueError: If the scene is not known.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        scene: str,
        shape: tuple[int, int],
        sites: int = 3,
        reflect: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> None:
        if scene not in SCENES:
            raise ValueError(f'There is no scene {scene!r}; use one of {SCENES}.')
        self.shape = shape
        self.panoramas = [_paint_panorama(rng, scene, shape, reflect) for _ in range(sites)]

    def cut(self, rng: np.random.Generator) -> np.ndarray:
        """Cuts the background of one image, (H, W, 3) uint8 RGB, out of a panorama."""
        height, width = self.shape
        panorama = self.panoramas[int(rng.integers(len(self.panoramas)))]
        top = int(rng.integers(panorama.shape[0] - height + 1))
        left = int(rng.integers(panorama.shape[1] - width + 1))
        return cv2.convertScaleAbs(panorama[top : top + height, left : left + width], alpha=rng.uniform(0.8, 1.15))


def _paint_panorama(
    rng: np.random.Generator,
    scene: str,
    shape: tuple[int, int],
    reflect: Callable[[np.ndarray], np.ndarray] | None,
) -> np.ndarray:
    """Paints one place."""
    height, width = round(shape[0] * _MARGIN), round(shape[1] * _PANORAMA_WIDTH)
    image = np.empty((height, width, 3), np.uint8)
    if scene in ('asphalt', 'lawn'):
        paint_ground(rng, image, scene)
    else:
        _paint_walls(rng, image, scene)
    if reflect is not None:
        image = reflect(image)
    grain = rng.normal(0, 1, (height // 6, width // 6)).astype(np.float32)
    grain = cv2.resize(cv2.GaussianBlur(grain, (0, 0), 2), (width, height)) * 40
    image = cv2.add(image, cv2.merge((grain, grain, grain)), dtype=cv2.CV_8U)
    return cv2.GaussianBlur(image, (0, 0), max(0.5, shape[0] * 0.004))


def _paint_walls(rng: np.random.Generator, image: np.ndarray, scene: str) -> None:
    """Paints wall, ground and furniture."""
    height = image.shape[0]
    horizon = int(height * rng.uniform(0.5, 0.72))
    wall = _pick(rng, _WALLS[scene])
    ground = _pick(rng, _GROUNDS[scene])
    image[:horizon], image[horizon:] = wall, ground
    _tile_ground(rng, image, horizon, ground)
    if scene == 'park':
        _plant(rng, image, horizon, wall)
    elif scene == 'street':
        _brick(image, horizon, wall, height)
        _openings(rng, image, horizon, (0.16, 0.3))
    elif scene == 'plaza':
        _openings(rng, image, horizon, (0.2, 0.45))
    elif scene == 'beach':
        _shore(rng, image, horizon)
    else:
        _columns(rng, image, horizon, wall)
        _openings(rng, image, horizon, (0.3, 0.55))
    _furniture(rng, image, horizon)


def _pick(rng: np.random.Generator, colors: tuple[tuple[int, int, int], ...], spread: int = 22) -> tuple[int, int, int]:
    """Draws one of the colors, and moves it."""
    base = np.asarray(colors[int(rng.integers(len(colors)))])
    red, green, blue = np.clip(base + rng.integers(-spread, spread + 1, 3), 0, 255).tolist()
    return red, green, blue


def _any(rng: np.random.Generator) -> tuple[int, int, int]:
    """Draws any color, mostly a muted one."""
    base = rng.integers(30, 225, 3)
    red, green, blue = (base.mean() + (base - base.mean()) * rng.uniform(0.2, 0.8)).astype(int).tolist()
    return red, green, blue


def _shift(color: tuple[int, int, int], amount: float) -> tuple[int, int, int]:
    """Makes a color brighter or darker."""
    red, green, blue = (int(np.clip(c * amount, 0, 255)) for c in color)
    return red, green, blue


def _tile_ground(rng: np.random.Generator, image: np.ndarray, horizon: int, color: tuple[int, int, int]) -> None:
    """Draws joints that run toward the horizon, and a curb now and then."""
    height, width = image.shape[:2]
    joint, thick = _shift(color, rng.uniform(0.7, 0.92)), max(1, height // 160)
    vanish = (int(width * rng.uniform(0.2, 0.8)), horizon - height // 6)
    for x in range(-width, 2 * width, max(8, height // int(rng.integers(5, 10)))):
        cv2.line(image[horizon:], (vanish[0], vanish[1] - horizon), (x, height - horizon), joint, thick)
    depth = height / 40
    y = float(horizon)
    while y < height:
        cv2.line(image, (0, int(y)), (width, int(y)), joint, thick)
        depth *= 1.45
        y += depth
    if rng.random() < 0.5:
        kerb = horizon + int((height - horizon) * rng.uniform(0.05, 0.4))
        cv2.rectangle(image, (0, kerb), (width, kerb + height // 40), _shift(color, 1.25), -1)


def _brick(image: np.ndarray, horizon: int, color: tuple[int, int, int], height: int) -> None:
    """Draws rows of bricks."""
    step = max(5, height // 26)
    for row, y in enumerate(range(0, horizon, step)):
        cv2.line(image, (0, y), (image.shape[1], y), _shift(color, 0.82), 1)
        for x in range((row % 2) * step, image.shape[1], 2 * step):
            cv2.line(image, (x, y), (x, min(horizon, y + step)), _shift(color, 0.82), 1)


def _openings(rng: np.random.Generator, image: np.ndarray, horizon: int, sizes: tuple[float, float]) -> None:
    """Cuts doors, windows and posters into the wall."""
    height, width = image.shape[:2]
    x = int(rng.integers(0, height // 4))
    while x < width:
        wide, tall = int(height * rng.uniform(*sizes) * 0.7), int(height * rng.uniform(*sizes))
        low = horizon - (0 if rng.random() < 0.4 else int(height * rng.uniform(0.05, 0.18)))
        color = _any(rng) if rng.random() < 0.5 else (70, 86, 104)
        cv2.rectangle(image, (x, low - tall), (x + wide, low), color, -1)
        cv2.rectangle(image, (x, low - tall), (x + wide, low), _shift(color, 0.6), max(1, height // 120))
        if rng.random() < 0.5:
            middle = x + wide // 2
            cv2.line(image, (middle, low - tall), (middle, low), _shift(color, 0.6), max(1, height // 160))
        else:
            band = low - int(tall * rng.uniform(0.3, 0.7))
            cv2.rectangle(image, (x + 2, band), (x + wide - 2, band + height // 30), _shift(color, 1.5), -1)
        x += wide + int(height * rng.uniform(0.05, 0.3))


def _plant(rng: np.random.Generator, image: np.ndarray, horizon: int, color: tuple[int, int, int]) -> None:
    """Draws sky, trees and bushes."""
    height, width = image.shape[:2]
    image[: int(horizon * 0.35)] = (186, 204, 220)
    for _ in range(90):
        radius = int(height * rng.uniform(0.03, 0.12))
        center = (int(rng.integers(width)), int(rng.integers(int(horizon * 0.1), horizon)))
        cv2.circle(image, center, radius, _shift(color, rng.uniform(0.55, 1.4)), -1)
    for _ in range(5):
        x, half = int(rng.integers(width)), max(2, int(height * rng.uniform(0.01, 0.03)))
        cv2.rectangle(image, (x - half, int(horizon * 0.3)), (x + half, horizon + height // 40), (74, 56, 42), -1)


def _shore(rng: np.random.Generator, image: np.ndarray, horizon: int) -> None:
    """Draws sky over the sea, foam and parasols."""
    height, width = image.shape[:2]
    image[: int(horizon * rng.uniform(0.55, 0.75))] = _pick(rng, ((172, 206, 236), (204, 220, 230)))
    image[horizon - height // 60 : horizon + height // 60] = (236, 238, 234)
    for _ in range(6):
        x, color = int(rng.integers(width)), _any(rng)
        foot, half = horizon + int((height - horizon) * rng.uniform(0.1, 0.6)), int(height * rng.uniform(0.08, 0.16))
        top = foot - int(half * 1.6)
        cv2.line(image, (x, top), (x, foot), (222, 220, 214), max(1, height // 160))
        cv2.ellipse(image, (x, top), (half, half // 2), 0, 180, 360, color, -1)
        cv2.ellipse(image, (x, top), (half // 2, half // 2), 0, 180, 360, _shift(color, 1.5), -1)


def _columns(rng: np.random.Generator, image: np.ndarray, horizon: int, color: tuple[int, int, int]) -> None:
    """Draws panels and lamps of an indoor wall."""
    height, width = image.shape[:2]
    step = int(height * rng.uniform(0.25, 0.5))
    for x in range(int(rng.integers(step)), width, step):
        cv2.rectangle(image, (x, 0), (x + max(2, step // 8), horizon), _shift(color, 0.75), -1)
    cv2.rectangle(image, (0, horizon - height // 24), (width, horizon), _shift(color, 0.6), -1)
    for x in range(0, width, step * 2):
        cv2.rectangle(image, (x, 0), (x + step, height // 30), (250, 250, 240), -1)


def _furniture(rng: np.random.Generator, image: np.ndarray, horizon: int) -> None:
    """Places poles, bins and signs on the ground."""
    height, width = image.shape[:2]
    for _ in range(4):
        x, color = int(rng.integers(width)), _any(rng)
        foot = horizon + int((height - horizon) * rng.uniform(0.05, 0.5))
        if rng.random() < 0.5:
            cv2.rectangle(image, (x, 0), (x + max(2, height // 70), foot), _shift(color, 0.5), -1)
        else:
            wide, tall = int(height * rng.uniform(0.08, 0.2)), int(height * rng.uniform(0.1, 0.25))
            cv2.rectangle(image, (x, foot - tall), (x + wide, foot), color, -1)
            cv2.rectangle(image, (x, foot - tall), (x + wide, foot - tall + height // 50), _shift(color, 1.4), -1)
