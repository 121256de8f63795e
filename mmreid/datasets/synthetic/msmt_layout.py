# Copyright (c) mmreid contributors. All rights reserved.
"""The plan of an MSMT17 folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from .layout import Job, LayoutPlan, seen_by, split_pids
from .streams import stream
from .world import World

RELEASES = {'V1': ('train', 'test'), 'V2': ('mask_train_v2', 'mask_test_v2')}
LISTS = ('train', 'val', 'query', 'gallery')
DAYS = ('0113', '0114', '0302', '0303')
TIMES = ('morning', 'noon', 'afternoon')


@dataclass(frozen=True)
class MSMT17Plan(LayoutPlan):
    """How large an MSMT17 folder is.

    Attributes:
        train_ids (int): Training identities; the last image of each is in the validation list.
        test_ids (int): Test identities, none of them a training identity.
        images_per_camera (int): Images per identity and camera, 2 or more; the first of a test identity is the query.
        camera_fraction (float): Fraction of the cameras that see a person, at least 2 of them.
        release (str): ``'V1'`` or ``'V2'``, which only differ in the names of the folders here.
    """

    LAYOUT: ClassVar = 'msmt17'
    CAMERAS: ClassVar = range(2, 16)
    DEFAULT_CAMERAS: ClassVar = 15
    LEAST: ClassVar = {'train_ids': 1, 'test_ids': 1, 'images_per_camera': 2}
    WHY: ClassVar = {'images_per_camera': 'one is the query, the others the gallery'}

    train_ids: int = 100
    test_ids: int = 60
    images_per_camera: int = 2
    camera_fraction: float = 1.0
    release: str = 'V1'

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.release not in RELEASES:
            raise ValueError(f'MSMT17 has no release {self.release!r}; use one of {sorted(RELEASES)}.')

    def jobs(self, world: World) -> Iterator[Job]:
        """Lists all images."""
        return (job for _, _, job in self._rows(world))

    def texts(self, world: World) -> dict[str, str]:
        """Writes the four lists, one path below ``train`` or ``test`` and one label per row."""
        lists: dict[str, list[str]] = {name: [] for name in LISTS}
        for name, label, job in self._rows(world):
            lists[name].append(f'{job.path.partition("/")[2]} {label}\n')
        return {f'list_{name}.txt': ''.join(rows) for name, rows in lists.items()}

    def title(self, job: Job) -> str:
        """Names the camera by its two digits."""
        return f'{job.camid + 1:02d}'

    def _rows(self, world: World) -> Iterator[tuple[str, int, Job]]:
        """Lists each image with its list and label; labels start at 0 in both parts."""
        parts = split_pids(world, self.train_ids, self.test_ids)
        for folder, pids in zip(RELEASES[self.release], parts, strict=True):
            for label, pid in enumerate(pids):
                camids = seen_by(world, pid, self.camera_fraction, (range(len(world.cameras)), 2))
                shots = [(camid, index) for camid in camids for index in range(self.images_per_camera)]
                for number, (camid, index) in enumerate(shots):
                    if pid in parts[0]:
                        name = 'val' if number == len(shots) - 1 else 'train'
                    else:
                        name = 'query' if index == 0 else 'gallery'
                    path = f'{folder}/{label:04d}/{_name(world, label, pid, camid, index, number)}'
                    yield name, label, Job('person', pid, camid, index, path)


def _name(world: World, label: int, pid: int, camid: int, index: int, number: int) -> str:
    """Writes a name: label, number of the image, camera from 1, day and time of day, frame, number of the box."""
    rng = stream(world.seed, world.domain.name, 'visit', pid, camid)
    visit = DAYS[int(rng.integers(len(DAYS)))] + TIMES[int(rng.integers(len(TIMES)))]
    frame = int(rng.integers(1, 9_000)) + 8 * index
    return f'{label:04d}_{number:03d}_{camid + 1:02d}_{visit}_{frame:04d}_{int(rng.integers(4))}.jpg'
