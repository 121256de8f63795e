# Copyright (c) mmreid contributors. All rights reserved.
"""The plan of a DukeMTMC-reID folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from .layout import Job, LayoutPlan
from .market_layout import three_folders, walk
from .world import World


@dataclass(frozen=True)
class DukePlan(LayoutPlan):
    """How large a DukeMTMC-reID folder is.

    Attributes:
        train_ids (int): Training identities.
        test_ids (int): Test identities, none of them a training identity.
        images_per_camera (int): Images per identity and camera, 2 or more; the first of a test identity is the query.
        camera_fraction (float): Fraction of the cameras that see a person, at least 2 of them.
    """

    LAYOUT: ClassVar = 'dukemtmc'
    CAMERAS: ClassVar = range(2, 9)
    DEFAULT_CAMERAS: ClassVar = 8
    LEAST: ClassVar = {'train_ids': 1, 'test_ids': 1, 'images_per_camera': 2}
    WHY: ClassVar = {'images_per_camera': 'one is the query, the others the gallery'}

    train_ids: int = 100
    test_ids: int = 60
    images_per_camera: int = 2
    camera_fraction: float = 1.0

    def jobs(self, world: World) -> Iterator[Job]:
        """Lists all images."""
        for folder, pid, camid, index in three_folders(world, self, self.camera_fraction):
            session, frame = walk(world, pid, camid)
            name = f'{pid:04d}_c{camid + 1}_f{100_000 * session + frame + 60 * index:07d}.jpg'
            yield Job('person', pid, camid, index, f'{folder}/{name}')
