# Copyright (c) mmreid contributors. All rights reserved.
"""The plan of a SYSU-MM01 folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from .layout import Job, LayoutPlan, seen_by, split_pids
from .world import World

_VISIBLE, _INFRARED = (0, 1, 3, 4), (2, 5)


@dataclass(frozen=True)
class SYSUPlan(LayoutPlan):
    """How large a SYSU-MM01 folder is. Cameras 1, 2, 4 and 5 see visible light, 3 and 6 infrared.

    Attributes:
        train_ids (int): Training identities.
        val_ids (int): Validation identities, which the papers also train on.
        test_ids (int): Test identities.
        images_per_camera (int): Images per identity and camera; the multi-shot protocol needs 10.
        camera_fraction (float): Fraction of the cameras that see a person: at least 2 visible ones, so that a
            person seen by camera 3 can be found outside camera 2, and 1 infrared one.
    """

    LAYOUT: ClassVar = 'sysu'
    CAMERAS: ClassVar = range(6, 7)
    DEFAULT_CAMERAS: ClassVar = 6
    INFRARED: ClassVar = _INFRARED
    FOLDERS: ClassVar = tuple(f'cam{number}' for number in range(1, 7))
    LEAST: ClassVar = {'train_ids': 1, 'val_ids': 1, 'test_ids': 1, 'images_per_camera': 1}

    train_ids: int = 32
    val_ids: int = 8
    test_ids: int = 24
    images_per_camera: int = 10
    camera_fraction: float = 1.0

    def jobs(self, world: World) -> Iterator[Job]:
        """Lists all images."""
        for pids in self._parts(world).values():
            for pid in pids:
                for camid in seen_by(world, pid, self.camera_fraction, (_VISIBLE, 2), (_INFRARED, 1)):
                    for index in range(self.images_per_camera):
                        path = f'cam{camid + 1}/{pid:04d}/{index + 1:04d}.jpg'
                        yield Job('person', pid, camid, index, path)

    def texts(self, world: World) -> dict[str, str]:
        """Writes the identities of each part, in one line."""
        parts = self._parts(world)
        parts['available'] = [pid for pids in parts.values() for pid in pids]
        return {f'exp/{name}_id.txt': ','.join(map(str, pids)) + '\n' for name, pids in parts.items()}

    def title(self, job: Job) -> str:
        """Names the camera, and whether it is infrared."""
        return f'cam{job.camid + 1}' + (' IR' if job.camid in _INFRARED else '')

    def _parts(self, world: World) -> dict[str, list[int] | range]:
        parts = split_pids(world, self.train_ids, self.val_ids, self.test_ids)
        return dict(zip(('train', 'val', 'test'), parts, strict=True))
