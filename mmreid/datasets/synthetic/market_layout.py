# Copyright (c) mmreid contributors. All rights reserved.
"""The plan of a Market-1501 folder: which file shows whom, decided before anything is drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from .streams import stream
from .world import World

TRAIN, GALLERY, QUERY = 'bounding_box_train', 'bounding_box_test', 'query'
CAMSTYLE = 'bounding_box_train_camstyle'
_LAST_PID, _LAST_CAMERA = 9999, 9


@dataclass(frozen=True)
class MarketPlan:
    """How large a Market-1501 folder is.

    Attributes:
        train_ids (int): Training identities.
        test_ids (int): Test identities, others than the training identities.
        images_per_camera (int): Pictures per identity and camera. Of the test identities the first is the query and
            the others are in the gallery, so 2 or more.
        distractors (int): Gallery pictures with pid 0: other people or background.
        junk (int): Gallery pictures with pid -1: bad boxes.
        camstyle (bool): Whether to write the camera-style folder.

    Raises:
        ValueError: If a number is out of range.
    """

    train_ids: int = 100
    test_ids: int = 60
    images_per_camera: int = 2
    distractors: int = 0
    junk: int = 0
    camstyle: bool = False

    def __post_init__(self) -> None:
        least_of = {'train_ids': 1, 'test_ids': 1, 'images_per_camera': 2, 'distractors': 0, 'junk': 0}
        for name, least in least_of.items():
            if getattr(self, name) < least:
                why = '; one is the query, the others the gallery' if name == 'images_per_camera' else ''
                raise ValueError(f'{name} is {getattr(self, name)}, but must be {least} or more{why}.')

    def parameters(self) -> dict[str, int | bool]:
        """List the fields by name.

        Returns:
            dict: Field name to value.
        """
        return asdict(self)


@dataclass(frozen=True)
class Job:
    """One picture to take, and the file names it is stored under.

    Attributes:
        kind (str): 'person', 'distractor' or 'junk'.
        pid (int): Identity in the picture; 0 for a distractor.
        camid (int): Camera, from 0.
        index (int): Number of the picture.
        folder (str): Folder of the file.
        stem (str): File name without '.jpg'.
        styles (tuple[int, ...]): Cameras whose style is written to the camera-style folder as well.
    """

    kind: str
    pid: int
    camid: int
    index: int
    folder: str
    stem: str
    styles: tuple[int, ...] = ()


def split_pids(world: World, plan: MarketPlan) -> tuple[range, range]:
    """Divide the people; a cluster of near-duplicates is never cut.

    Args:
        world (World): The world.
        plan (MarketPlan): Sizes.

    Returns:
        tuple[range, range]: Training pids and test pids.

    Raises:
        ValueError: If the pids do not fit into four digits.
    """
    start = world.people.first_pid_after(plan.train_ids)
    if start + plan.test_ids - 1 > _LAST_PID:
        raise ValueError(
            f'{plan.train_ids} + {plan.test_ids} identities do not fit into the four digits of a Market-1501 name; '
            f'use {_LAST_PID - 2} or fewer in all.'
        )
    return range(1, plan.train_ids + 1), range(start, start + plan.test_ids)


def plan_jobs(world: World, plan: MarketPlan) -> Iterator[Job]:
    """List all pictures of a Market-1501 folder.

    Args:
        world (World): The world.
        plan (MarketPlan): Sizes.

    Yields:
        Job: One picture.

    Raises:
        ValueError: If the world has fewer than 2 or more than 9 cameras, which Market-1501 names cannot hold.
    """
    cameras = range(len(world.cameras))
    if not 2 <= len(cameras) <= _LAST_CAMERA:
        raise ValueError(
            f'Market-1501 names have one digit for the camera and its test needs two, but the world has {len(cameras)} '
            f'cameras; use 2 to {_LAST_CAMERA}.'
        )
    train, test = split_pids(world, plan)
    for pid in train:
        for camid in cameras:
            styles = tuple(other for other in cameras if other != camid) if plan.camstyle else ()
            for index in range(plan.images_per_camera):
                yield Job('person', pid, camid, index, TRAIN, _track_stem(world, pid, camid, index, 1), styles)
    for pid in test:
        for camid in cameras:
            for index in range(plan.images_per_camera):
                folder, detection = (QUERY, 0) if index == 0 else (GALLERY, 1)
                yield Job('person', pid, camid, index, folder, _track_stem(world, pid, camid, index, detection))
    for number in range(plan.distractors):
        camid = number % len(cameras)
        yield Job('distractor', 0, camid, number, GALLERY, _stem('0000', camid, 1, number + 1, 1))
    for number in range(plan.junk):
        camid, pid = number % len(cameras), test[(number // len(cameras)) % len(test)]
        yield Job('junk', pid, camid, number, GALLERY, _stem('-1', camid, 1, number + 1, 1))


def _track_stem(world: World, pid: int, camid: int, index: int, detection: int) -> str:
    """Name a picture of a person who walks past the cameras one after the other."""
    rng = stream(world.seed, world.domain.name, 'track', pid)
    session, start = int(rng.integers(1, 4)), int(rng.integers(1, 90_000))
    delays = rng.integers(400, 1600, 16)
    return _stem(f'{pid:04d}', camid, session, start + int(delays[: camid + 1].sum()) + 25 * index, detection)


def _stem(pid: str, camid: int, session: int, frame: int, detection: int) -> str:
    """Write a Market-1501 name: pid, camera from 1, session, frame, number of the box."""
    return f'{pid}_c{camid + 1}s{session}_{frame:06d}_{detection:02d}'
