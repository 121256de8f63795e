# Copyright (c) mmreid contributors. All rights reserved.
"""The plan of a Market-1501 folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from .layout import Job, LayoutPlan, seen_by, split_pids
from .streams import stream
from .world import World

TRAIN, GALLERY, QUERY = 'bounding_box_train', 'bounding_box_test', 'query'
CAMSTYLE = 'bounding_box_train_camstyle'


@dataclass(frozen=True)
class MarketPlan(LayoutPlan):
    """How large a Market-1501 folder is.

    Attributes:
        train_ids (int): Training identities.
        test_ids (int): Test identities, none of them a training identity.
        images_per_camera (int): Images per identity and camera. Of the test identities the first is the query and
            the others are in the gallery, so 2 or more.
        distractors (int): Gallery images with pid 0: other people or background.
        junk (int): Gallery images with pid -1: bad boxes.
        camstyle (bool): Whether to write the camera-style folder.
        camera_fraction (float): Fraction of the cameras that see a person, at least 2 of them.
    """

    LAYOUT: ClassVar = 'market1501'
    CAMERAS: ClassVar = range(2, 10)  # names have one digit
    DEFAULT_CAMERAS: ClassVar = 4
    LEAST: ClassVar = {'train_ids': 1, 'test_ids': 1, 'images_per_camera': 2, 'distractors': 0, 'junk': 0}
    WHY: ClassVar = {'images_per_camera': 'one is the query, the others the gallery'}

    train_ids: int = 100
    test_ids: int = 60
    images_per_camera: int = 2
    distractors: int = 0
    junk: int = 0
    camstyle: bool = False
    camera_fraction: float = 1.0

    def jobs(self, world: World) -> Iterator[Job]:
        """Lists all images."""
        cameras = range(len(world.cameras))
        for folder, pid, camid, index in three_folders(world, self, self.camera_fraction):
            stem = _track_stem(world, pid, camid, index, 0 if folder == QUERY else 1)
            others = [other for other in cameras if other != camid] if self.camstyle and folder == TRAIN else []
            styles = tuple((other, f'{CAMSTYLE}/{stem}_fake_{camid + 1}to{other + 1}.jpg') for other in others)
            yield Job('person', pid, camid, index, f'{folder}/{stem}.jpg', styles)
        for number in range(self.distractors):
            camid = number % len(cameras)
            yield Job('distractor', 0, camid, number, f'{GALLERY}/{_stem("0000", camid, 1, number + 1, 1)}.jpg')
        test = split_pids(world, self.train_ids, self.test_ids)[1]
        for number in range(self.junk):
            camid, pid = number % len(cameras), test[(number // len(cameras)) % len(test)]
            yield Job('junk', pid, camid, number, f'{GALLERY}/{_stem("-1", camid, 1, number + 1, 1)}.jpg')


def three_folders(world: World, plan: LayoutPlan, camera_fraction: float) -> Iterator[tuple[str, int, int, int]]:
    """Lists the images of the three folders that several data sets have: folder, pid, camid, number of the image."""
    train, test = split_pids(world, plan.train_ids, plan.test_ids)
    for pid in (*train, *test):
        for camid in seen_by(world, pid, camera_fraction, (range(len(world.cameras)), 2)):
            for index in range(plan.images_per_camera):
                yield (TRAIN if pid in train else QUERY if index == 0 else GALLERY), pid, camid, index


def walk(world: World, pid: int, camid: int) -> tuple[int, int]:
    """Returns session (1 to 3) and first frame of a person at a camera, past which people walk one after the other."""
    rng = stream(world.seed, world.domain.name, 'track', pid)
    session, start = int(rng.integers(1, 4)), int(rng.integers(1, 90_000))
    return session, start + int(rng.integers(400, 1600, 16)[: camid + 1].sum())


def _track_stem(world: World, pid: int, camid: int, index: int, detection: int) -> str:
    session, frame = walk(world, pid, camid)
    return _stem(f'{pid:04d}', camid, session, frame + 25 * index, detection)


def _stem(pid: str, camid: int, session: int, frame: int, detection: int) -> str:
    """Writes a Market-1501 name: pid, camera from 1, session, frame, number of the box."""
    return f'{pid}_c{camid + 1}s{session}_{frame:06d}_{detection:02d}'
