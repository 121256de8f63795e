# Copyright (c) mmreid contributors. All rights reserved.
"""The procedural world: people, cameras, and the image of any person by any camera."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

import cv2
import numpy as np

from .background import Backdrop
from .camera import CameraSpec, photograph, sample_camera
from .catalog import PersonCatalog
from .domain import get_domain
from .identity import PersonSpec, sample_person
from .infrared import check_infrared, infrared_camera, photograph_infrared
from .occluder import OCCLUDERS, draw_occluder
from .painter import Painter
from .person import draw_person
from .pose import View, sample_pose
from .reflectance import Surroundings, person_in_infrared
from .relief import Folds, ReliefPainter
from .streams import stream

# Changes whenever the same seed would give other images.
GENERATOR_VERSION = 1
# Usual distance of a tight box from the person, as a fraction of the height of the canvas.
_MARGIN = 0.02


class World:
    """People seen by cameras, all from one seed.

    Every image has its own random stream, addressed by (seed, domain, pid, camid, index), so it does not depend on what
    was drawn before, or by which process.

    Args:
        seed (int): Seed, not negative.
        domain (str): Name of the domain, see ``domain.DOMAINS``.
        cameras (int): Number of cameras.
        size (tuple[int, int]): Height and width of the images in pixels.
        supersample (float): How much larger scenes are drawn than images are.
        infrared (Sequence[int]): Cameras, from 0, that see near-infrared light: gray images under a lamp of their own.
            The other cameras do not change. Defaults to ().
        **knobs: Fields of ``DomainSpec`` to change, such as ``cast_strength=0.5``.

    Raises:
        ValueError: If an argument is out of range.

    Examples:
        >>> world = World(seed=0, cameras=4, size=(128, 64))
        >>> world.render(pid=1, camid=0, index=0).shape
        (128, 64, 3)
    """

    def __init__(
        self,
        seed: int = 0,
        domain: str = 'default',
        cameras: int = 4,
        size: tuple[int, int] = (128, 64),
        supersample: float = 2.0,
        infrared: Sequence[int] = (),
        **knobs: float,
    ) -> None:
        if seed < 0:
            raise ValueError(f'seed is {seed}, but must be 0 or more.')
        if cameras < 1:
            raise ValueError(f'A world needs cameras, but got cameras={cameras}; use 1 or more.')
        if len(size) != 2 or min(size) < 16:
            raise ValueError(f'size is (height, width) in pixels, 16 or more each, but got {tuple(size)}.')
        if supersample < 1:
            raise ValueError(f'supersample is {supersample}, but scenes cannot be smaller than images; use 1 or more.')
        self.seed, self.size, self.supersample = seed, (int(size[0]), int(size[1])), supersample
        self.domain = get_domain(domain, **knobs)
        self.people = PersonCatalog(
            seed, self.domain.clothing, domain, self.domain.cluster_fraction, self.domain.cluster_size
        )
        self.infrared = check_infrared(infrared, cameras)
        self.cameras = tuple(self._make_camera(camid) for camid in range(cameras))
        self._surroundings = Surroundings(seed, self.domain) if self.infrared else None
        self._canvas = (round(self.size[0] * supersample), round(self.size[1] * supersample))
        self._backdrops: dict[int, Backdrop] = {}

    def person(self, pid: int) -> PersonSpec:
        """Returns the person with a pid, 1 or more."""
        return self.people[pid]

    def camera(self, camid: int) -> CameraSpec:
        """Returns a camera, from 0; raises a ValueError if there is no such camera."""
        if not 0 <= camid < len(self.cameras):
            raise ValueError(f'There is no camera {camid} in a world with {len(self.cameras)}; camids start at 0.')
        return self.cameras[camid]

    def render(self, pid: int, camid: int, index: int, style_camid: int | None = None) -> np.ndarray:
        """Takes the image of a person.

        Args:
            pid (int): Identity, 1 or more.
            camid (int): Camera that sees the person, from 0.
            index (int): Number of the image of this person by this camera, from 0.
            style_camid (int, optional): Camera of the same modality that gives colors, blur and noise, while person,
                pose, crop and background stay: a camera-style image. Defaults to ``camid``.

        Returns:
            numpy.ndarray: (H, W, 3) uint8 RGB, before JPEG compression (see ``encode``).
        """
        return self.develop(self.scene(pid, camid, index), ('image', pid, camid, index), camid, style_camid)

    def render_distractor(self, camid: int, index: int) -> np.ndarray:
        """Takes an image, (H, W, 3) uint8 RGB, of somebody without a pid, or (one in three) of the background only."""
        rng = stream(self.seed, self.domain.name, 'distractor', camid, index)
        person = sample_person(rng, self.domain.clothing) if rng.random() < 0.67 else None
        azimuth = rng.uniform(0, 2 * math.pi)
        return self.develop(self._paint(rng, self.camera(camid), person, azimuth), ('distractor', camid, index), camid)

    def render_junk(self, pid: int, camid: int, index: int) -> np.ndarray:
        """Takes an image, (H, W, 3) uint8 RGB, with a bad box: zoomed in on a part, or shifted off the person."""
        rng = stream(self.seed, self.domain.name, 'junk', pid, camid, index)
        zoom, shift = rng.uniform(1.5, 2.2), rng.uniform(-0.9, 0.1)
        if rng.random() < 0.5:
            zoom, shift = 0.9, rng.uniform(0.4, 0.6)
        azimuth = rng.uniform(0, 2 * math.pi)
        scene = self._paint(rng, self.camera(camid), self.person(pid), azimuth, zoom, shift)
        return self.develop(scene, ('junk', pid, camid, index), camid)

    def scene(self, pid: int, camid: int, index: int) -> np.ndarray:
        """Paints what a camera sees before it takes an image, uint8 RGB.

        Its shape is (supersample * H, supersample * W, 3), or with ``tight_boxes`` that of the box around the person.
        """
        camera = self.camera(camid)
        rng = stream(self.seed, self.domain.name, 'scene', pid, camid, index)
        walk = stream(self.seed, self.domain.name, 'walk', pid, camid)
        azimuth = camera.azimuth + (math.pi if walk.random() < camera.turn_prob else 0.0)
        azimuth += walk.normal(0, camera.azimuth_spread) + rng.normal(0, 0.5 * camera.azimuth_spread)
        return self._paint(rng, camera, self.person(pid), azimuth)

    def develop(
        self, scene: np.ndarray, key: tuple[int | str, ...], camid: int, style_camid: int | None = None
    ) -> np.ndarray:
        """Takes the image of a painted scene in the style of a camera.

        Args:
            scene (numpy.ndarray): (h, w, 3) uint8 RGB from ``scene``.
            key (tuple): Address of the image, such as ``('image', pid, camid, index)``.
            camid (int): Camera that sees the scene.
            style_camid (int, optional): Camera of the same modality that gives the style. Defaults to ``camid``.

        Returns:
            numpy.ndarray: (H, W, 3) uint8 RGB; three equal channels from an infrared camera.
        """
        camera, style = self.camera(camid), self.camera(camid if style_camid is None else style_camid)
        if camera.modality != style.modality:
            raise ValueError(
                f'Camera {camera.camid} is {camera.modality} and camera {style.camid} {style.modality}: a scene has no '
                'style of another modality; render the person with that camera.'
            )
        take = photograph if style.modality == 'visible' else photograph_infrared
        return take(scene, style, stream(self.seed, self.domain.name, 'photo', *key, style.camid), self.size)

    def encode(self, image: np.ndarray, camid: int) -> bytes:
        """Compresses an image, (H, W, 3) uint8 RGB, to JPEG at the quality of a camera."""
        quality = self.camera(camid).jpeg_quality
        done, data = cv2.imencode('.jpg', cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
        if not done:
            raise RuntimeError(f'OpenCV cannot encode an image of shape {image.shape} as JPEG.')
        return data.tobytes()

    def _make_camera(self, camid: int) -> CameraSpec:
        camera = sample_camera(self.seed, self.domain, camid)
        return infrared_camera(camera, self.seed, self.domain) if camid in self.infrared else camera

    def _as_seen(self, person: PersonSpec, camera: CameraSpec) -> PersonSpec:
        """Gives a person the colors that a camera sees."""
        return person if camera.modality == 'visible' else person_in_infrared(person, self.seed, self.domain)

    @cached_property
    def _folds(self) -> Folds:
        return Folds(stream(self.seed, self.domain.name, 'folds'), self._canvas)

    def _backdrop(self, camera: CameraSpec) -> Backdrop:
        """Paints the surroundings of a camera at first use."""
        if camera.camid not in self._backdrops:
            rng = stream(self.seed, self.domain.name, 'backdrop', camera.camid)
            reflect = None if camera.modality == 'visible' else self._surroundings.translate
            self._backdrops[camera.camid] = Backdrop(rng, camera.scene, self._canvas, reflect=reflect)
        return self._backdrops[camera.camid]

    def _paint(
        self, rng: np.random.Generator, camera: CameraSpec, person: PersonSpec | None, azimuth: float,
        zoom: float = 1.0, shift: float = 0.0,
    ) -> np.ndarray:  # fmt: skip
        """Paints background, passers-by, the person, and what hides part of the person."""
        painter = self._painter(rng, camera)
        height, width = self._canvas
        box = (0, 0, width, height)
        if rng.random() < camera.passerby_prob:
            self._passerby(painter, rng, camera)
        if camera.background_light < 1:
            painter.dim(camera.background_light)
        if person is not None:
            jitter = rng.normal(0, camera.crop_jitter, 3)
            scale = height * camera.scale * zoom * person.height * (1 + 1.5 * jitter[0])
            left = width * 0.5 + jitter[1] * height + shift * width * (zoom < 1)
            top = height * (1 - camera.scale * zoom) * 0.5 + jitter[2] * height + shift * height * (zoom > 1)
            top += height * camera.scale * zoom * (1 - person.height)
            pose = sample_pose(rng, azimuth)
            draw_person(
                painter,
                self._as_seen(person, camera),
                pose,
                View(azimuth, camera.elevation, (left, top), scale, pose.roll),
            )
            if self.domain.tight_boxes and (zoom, shift) == (1.0, 0.0):
                margin = height * (_MARGIN + rng.normal(0, 0.6 * camera.crop_jitter, 4))
                box = painter.box(margin * (-1, -1, 1, 1))
        if rng.random() < camera.occlusion_prob:
            kind = OCCLUDERS[int(rng.integers(len(OCCLUDERS)))]
            if camera.modality == 'visible':
                draw_occluder(painter, rng, kind)
            else:
                draw_occluder(painter, rng, kind, self._surroundings.color)
        left, top, right, bottom = box
        return painter.finish()[top:bottom, left:right]

    def _painter(self, rng: np.random.Generator, camera: CameraSpec) -> Painter:
        """Spreads a canvas with the background, under the light of a camera."""
        canvas = self._backdrop(camera).cut(rng)
        if camera.light is None:
            return Painter(canvas)
        return ReliefPainter(canvas, camera.light, self._folds.cut(rng, self.domain.folds))

    def _passerby(self, painter: Painter, rng: np.random.Generator, camera: CameraSpec) -> None:
        """Paints a small person at the side, farther away."""
        height, width = self._canvas
        scale = height * camera.scale * rng.uniform(0.5, 0.75)
        foot = height * rng.uniform(0.72, 0.85)
        left = width * (rng.uniform(-0.05, 0.22) if rng.random() < 0.5 else rng.uniform(0.78, 1.05))
        azimuth = rng.uniform(0, 2 * math.pi)
        view = View(azimuth, camera.elevation, (left, foot - scale), scale)
        person = self._as_seen(sample_person(rng, self.domain.clothing), camera)
        draw_person(painter, person, sample_pose(rng, azimuth), view)
        painter.finish()
