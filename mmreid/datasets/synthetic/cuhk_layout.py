# Copyright (c) mmreid contributors. All rights reserved.
"""The plan of a CUHK03-NP folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from .layout import Job, LayoutPlan
from .market_layout import three_folders
from .world import World

# Boxes drawn by hand show the same images as detected ones, without the errors of the detector.
_BOXES = {'person': 'detected', 'exact': 'labeled'}


@dataclass(frozen=True)
class CUHK03NPPlan(LayoutPlan):
    """How large a CUHK03-NP folder is; each image exists with a detected and with a labeled box.

    Attributes:
        train_ids (int): Training identities.
        test_ids (int): Test identities, none of them a training identity.
        images_per_camera (int): Images per identity and camera, 2 or more; the first of a test identity is the query.
    """

    LAYOUT: ClassVar = 'cuhk03np'
    CAMERAS: ClassVar = range(2, 3)
    DEFAULT_CAMERAS: ClassVar = 2
    LEAST: ClassVar = {'train_ids': 1, 'test_ids': 1, 'images_per_camera': 2}
    WHY: ClassVar = {'images_per_camera': 'one is the query, the others the gallery'}

    train_ids: int = 100
    test_ids: int = 60
    images_per_camera: int = 4

    def jobs(self, world: World) -> Iterator[Job]:
        """Lists all images."""
        for folder, pid, camid, index in three_folders(world, self, 1.0):
            for kind, boxes in _BOXES.items():
                number = camid * self.images_per_camera + index + 1
                yield Job(kind, pid, camid, index, f'{boxes}/{folder}/{pid:04d}_c{camid + 1}_{number}.png')

    def title(self, job: Job) -> str:
        """Names the camera and the kind of box."""
        return f'c{job.camid + 1} {_BOXES[job.kind]}'
