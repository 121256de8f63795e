# Copyright (c) mmreid contributors. All rights reserved.
"""The plan of a RegDB folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from .layout import Job, LayoutPlan
from .streams import stream
from .world import World

TRIALS = range(1, 11)
_MODALITIES = ('Visible', 'Thermal')


@dataclass(frozen=True)
class RegDBPlan(LayoutPlan):
    """How large a RegDB folder is. It has one visible and one infrared camera.

    Attributes:
        ids (int): Identities. Each of the ten trials trains on one half of them and tests on the other.
        images_per_camera (int): Images per identity and camera, 10 in the real data set.
    """

    LAYOUT: ClassVar = 'regdb'
    CAMERAS: ClassVar = range(2, 3)
    DEFAULT_CAMERAS: ClassVar = 2
    INFRARED: ClassVar = (1,)
    LEAST: ClassVar = {'ids': 4, 'images_per_camera': 1}
    WHY: ClassVar = {'ids': 'fewer could all be near-duplicates, which are never divided'}

    ids: int = 160
    images_per_camera: int = 10

    def jobs(self, world: World) -> Iterator[Job]:
        """Lists all images."""
        for pid in range(1, self.ids + 1):
            for camid in range(len(_MODALITIES)):
                for index in range(self.images_per_camera):
                    yield Job('person', pid, camid, index, self._path(world, pid, camid, index))

    def texts(self, world: World) -> dict[str, str]:
        """Writes the lists of the trials, one path and label per row; labels start at 0 in both halves."""
        texts = {}
        for trial in TRIALS:
            for part, pids in zip(('train', 'test'), divide(world, self.ids, trial), strict=True):
                for camid, folder in enumerate(_MODALITIES):
                    rows = (
                        f'{self._path(world, pid, camid, index)} {label}\n'
                        for label, pid in enumerate(pids)
                        for index in range(self.images_per_camera)
                    )
                    texts[f'idx/{part}_{folder.lower()}_{trial}.txt'] = ''.join(rows)
        return texts

    def title(self, job: Job) -> str:
        """Names the folder of the camera."""
        return _MODALITIES[job.camid]

    def _path(self, world: World, pid: int, camid: int, index: int) -> str:
        """Writes a name; its first two words are random, because these people have no gender and walk both ways."""
        rng = stream(world.seed, world.domain.name, 'regdb', pid)
        words = f'{("male", "female")[int(rng.integers(2))]}_{("front", "back")[int(rng.integers(2))]}'
        number = (pid - 1) * self.images_per_camera + index + 1
        return f'{_MODALITIES[camid]}/{pid}/{words}_{"vt"[camid]}_{number:05d}_{pid}.bmp'


def divide(world: World, ids: int, trial: int) -> tuple[list[int], list[int]]:
    """Divides people into training and test pids, never within a cluster; the first part may be smaller."""
    clusters = list(dict.fromkeys(tuple(world.people.cluster_of(pid)) for pid in range(1, ids + 1)))
    train: set[int] = set()
    for place in stream(world.seed, world.domain.name, 'trial', trial).permutation(len(clusters)):
        members = {pid for pid in clusters[place] if pid <= ids}
        if len(train) + len(members) <= ids // 2:
            train |= members
    return sorted(train), [pid for pid in range(1, ids + 1) if pid not in train]
