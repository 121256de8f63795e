# Copyright (c) mmreid contributors. All rights reserved.
"""The plan of a RandPerson folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from .layout import Job, LayoutPlan, seen_by, split_pids
from .market_layout import walk
from .world import World

_FOLDER = 'randperson_subset'
_PER_SCENE = (2, 2, 2, 2, 1, 1, 2, 1, 1, 1, 4)
# Scene, and camera within it, both from 0, of each camera of the world.
_NUMBERS = tuple((scene, camera) for scene, count in enumerate(_PER_SCENE) for camera in range(count))


@dataclass(frozen=True)
class RandPersonPlan(LayoutPlan):
    """How large a RandPerson folder is. It has training images only.

    Attributes:
        train_ids (int): Identities.
        images_per_camera (int): Images per identity and camera.
        camera_fraction (float): Fraction of the cameras that see a person, at least 2 of them.
    """

    LAYOUT: ClassVar = 'randperson'
    CAMERAS: ClassVar = range(2, 20)
    DEFAULT_CAMERAS: ClassVar = 19
    LEAST: ClassVar = {'train_ids': 1, 'images_per_camera': 1}

    train_ids: int = 500
    images_per_camera: int = 2
    camera_fraction: float = 0.25

    def jobs(self, world: World) -> Iterator[Job]:
        """Lists all images."""
        (pids,) = split_pids(world, self.train_ids, digits=6)
        for pid in pids:
            for camid in seen_by(world, pid, self.camera_fraction, (range(len(world.cameras)), 2)):
                scene, camera = _NUMBERS[camid]
                frame = walk(world, pid, camid)[1]
                for index in range(self.images_per_camera):
                    name = f'{pid - 1:06d}_s{scene:02d}_c{camera:02d}_f{frame + 12 * index:06d}.jpg'
                    yield Job('person', pid, camid, index, f'{_FOLDER}/{name}')

    def title(self, job: Job) -> str:
        """Names scene and camera."""
        return 's{:02d} c{:02d}'.format(*_NUMBERS[job.camid])
