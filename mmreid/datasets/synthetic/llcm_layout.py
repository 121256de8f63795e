# Copyright (c) mmreid contributors. All rights reserved.
"""The plan of an LLCM folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from .layout import Job, LayoutPlan, seen_by, split_pids
from .streams import stream
from .world import World

# Modality and number of each camera of the world; camera 3 takes no infrared images.
_NUMBERS = (*(('vis', number) for number in range(1, 10)), *(('nir', number) for number in (1, 2, 4, 5, 6, 7, 8, 9)))
_VISIBLE, _INFRARED = tuple(range(9)), tuple(range(9, 17))


@dataclass(frozen=True)
class LLCMPlan(LayoutPlan):
    """How large an LLCM folder is. Nine cameras take visible images, eight of them infrared ones as well.

    Attributes:
        train_ids (int): Training identities.
        test_ids (int): Test identities, none of them a training identity.
        images_per_camera (int): Images per identity, camera and modality.
        camera_fraction (float): Fraction of the cameras that see a person, at least 2 in each modality.
    """

    LAYOUT: ClassVar = 'llcm'
    CAMERAS: ClassVar = range(17, 18)
    DEFAULT_CAMERAS: ClassVar = 17
    INFRARED: ClassVar = _INFRARED
    FOLDERS: ClassVar = tuple(f'test_{modality}/cam{number}' for modality, number in _NUMBERS)
    FILLED_BY: ClassVar = 'test_ids'
    LEAST: ClassVar = {'train_ids': 1, 'test_ids': 1, 'images_per_camera': 1}

    train_ids: int = 100
    test_ids: int = 60
    images_per_camera: int = 2
    camera_fraction: float = 0.5

    def jobs(self, world: World) -> Iterator[Job]:
        """Lists all images."""
        return (job for _, _, job in self._rows(world))

    def texts(self, world: World) -> dict[str, str]:
        """Writes the lists of the training images, and the test identities in one line."""
        lists: dict[str, list[str]] = {'vis': [], 'nir': []}
        for part, label, job in self._rows(world):
            if part == 'train':
                lists[_NUMBERS[job.camid][0]].append(f'{job.path} {label}\n')
        texts = {f'idx/train_{modality}.txt': ''.join(rows) for modality, rows in lists.items()}
        test = split_pids(world, self.train_ids, self.test_ids)[1]
        return texts | {'idx/test_id.txt': ','.join(map(str, test)) + '\n'}

    def title(self, job: Job) -> str:
        """Names modality and camera."""
        return '{} {}'.format(*_NUMBERS[job.camid])

    def _rows(self, world: World) -> Iterator[tuple[str, int, Job]]:
        """Lists each image with its part and label."""
        parts = zip(('train', 'test'), split_pids(world, self.train_ids, self.test_ids), strict=True)
        for part, pids in parts:
            for label, pid in enumerate(pids):
                for camid in seen_by(world, pid, self.camera_fraction, (_VISIBLE, 2), (_INFRARED, 2)):
                    modality, number = _NUMBERS[camid]
                    folder = modality if part == 'train' else f'test_{modality}/cam{number}'
                    for index in range(self.images_per_camera):
                        name = _name(world, pid, camid, index)
                        yield part, label, Job('person', pid, camid, index, f'{folder}/{pid:04d}/{name}')


def _name(world: World, pid: int, camid: int, index: int) -> str:
    """Writes a name: pid, camera, time of day, frame, modality."""
    modality, number = _NUMBERS[camid]
    rng = stream(world.seed, world.domain.name, 'visit', pid, camid)
    hour, minute, second = int(rng.integers(6, 23)), int(rng.integers(60)), int(rng.integers(60))
    frame = int(rng.integers(1, 9_000)) + 8 * index
    return f'{pid:04d}_c{number:02d}_s{hour:02d}{minute:02d}{second:02d}_f{frame}_{modality}.jpg'
