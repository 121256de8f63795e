# Copyright (c) mmreid contributors. All rights reserved.
"""What the layouts of all data sets have in common: which image goes to which file, decided before drawing."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import ClassVar

import numpy as np

from .streams import stream
from .world import World


@dataclass(frozen=True)
class Job:
    """One image to take, and the file it is stored in.

    Attributes:
        kind (str): 'person'; 'exact', the same image with a perfect box; 'distractor' or 'junk'.
        pid (int): Identity in the image; 0 for a distractor.
        camid (int): Camera, from 0.
        index (int): Number of the image.
        path (str): File, relative to the root folder, with forward slashes. The suffix decides the compression.
        styles (tuple[tuple[int, str], ...]): Other cameras in whose style the image is also stored, and the files.
    """

    kind: str
    pid: int
    camid: int
    index: int
    path: str
    styles: tuple[tuple[int, str], ...] = ()

    def paths(self) -> list[str]:
        """Lists the files of this job: the image, then those in other styles."""
        return [self.path, *(path for _, path in self.styles)]

    def images(self, world: World) -> Iterator[tuple[str, np.ndarray, int]]:
        """Yields the image, then those in other styles: file, (H, W, 3) uint8 RGB, camera whose style it has."""
        if self.kind == 'distractor':
            yield self.path, world.render_distractor(self.camid, self.index), self.camid
        elif self.kind == 'junk':
            yield self.path, world.render_junk(self.pid, self.camid, self.index), self.camid
        else:
            scene = (_without_box_errors(world) if self.kind == 'exact' else world).scene(
                self.pid, self.camid, self.index
            )
            key = ('image', self.pid, self.camid, self.index)
            for style, path in ((self.camid, self.path), *self.styles):
                yield path, world.develop(scene, key, self.camid, style), style


@dataclass(frozen=True)
class LayoutPlan:
    """Base of the plans: how large a data set is, and how its folder looks.

    The fields of a plan are its sizes; the class attributes say which values make sense.

    Raises:
        ValueError: If a size is out of range.
    """

    #: Name of the layout.
    LAYOUT: ClassVar[str]
    #: Numbers of cameras that its file names allow, and the number of the real data set.
    CAMERAS: ClassVar[range]
    DEFAULT_CAMERAS: ClassVar[int]
    #: Cameras that see infrared light.
    INFRARED: ClassVar[tuple[int, ...]] = ()
    #: Folders of cameras, none of which may be empty.
    FOLDERS: ClassVar[tuple[str, ...]] = ()
    #: Size that fills these folders.
    FILLED_BY: ClassVar[str] = 'train_ids'
    #: Smallest value of each size, and the reason where it is not obvious.
    LEAST: ClassVar[dict[str, int]]
    WHY: ClassVar[dict[str, str]] = {}

    def __post_init__(self) -> None:
        sizes = self.parameters()
        for name, least in self.LEAST.items():
            if sizes[name] < least:
                why = f'; {self.WHY[name]}' if name in self.WHY else ''
                raise ValueError(f'{name} is {sizes[name]}, but must be {least} or more{why}.')
        fraction = sizes.get('camera_fraction', 1.0)  # not every layout has it
        if not 0 < fraction <= 1:
            raise ValueError(
                f'camera_fraction is the fraction of the cameras that see a person, but got {fraction}; use a number '
                'above 0, up to 1.'
            )

    @classmethod
    def options(cls) -> list[str]:
        """Lists the names of the sizes."""
        return [field.name for field in fields(cls)]

    def parameters(self) -> dict[str, int | float | bool | str]:
        """Returns the sizes by name."""
        return asdict(self)

    def make_world(self, **kwargs) -> World:
        """Makes a world with the cameras of this layout; for ``kwargs`` see :class:`World`."""
        kwargs = dict(cameras=self.DEFAULT_CAMERAS, infrared=self.INFRARED) | kwargs
        self._check_cameras(kwargs['cameras'])
        return World(**kwargs)

    def check_world(self, world: World) -> None:
        """Raises a ValueError if the world has too few or too many cameras, or other infrared cameras."""
        self._check_cameras(len(world.cameras))
        if world.infrared != self.INFRARED:
            raise ValueError(
                f'The infrared cameras of the layout {self.LAYOUT!r} are {self.INFRARED}, but those of the world are '
                f'{world.infrared}; make it with infrared={self.INFRARED}.'
            )

    def jobs(self, world: World) -> Iterator[Job]:
        """Lists all images."""
        raise NotImplementedError

    def texts(self, world: World) -> dict[str, str]:
        """Writes the text files of the layout, such as lists: content by path relative to the root folder."""
        return {}

    def title(self, job: Job) -> str:
        """Names the camera of an image as the layout does, in a few letters, for a contact sheet."""
        return f'c{job.camid + 1}'

    def _check_cameras(self, count: int) -> None:
        if count not in self.CAMERAS:
            least, most = self.CAMERAS[0], self.CAMERAS[-1]
            usable = str(least) if least == most else f'{least} to {most}'
            raise ValueError(f'The layout {self.LAYOUT!r} cannot hold {count} cameras; use {usable}.')


def split_pids(world: World, *sizes: int, digits: int = 4) -> list[range]:
    """Divides people into parts of ``sizes``; never cuts a cluster of near-duplicates. ``digits`` limits the pids."""
    parts, last = [], 0
    for size in sizes:
        start = world.people.first_pid_after(last)
        parts.append(range(start, start + size))
        last = parts[-1][-1]
    if last >= 10**digits:
        raise ValueError(
            f'{" + ".join(map(str, sizes))} identities need numbers up to {last}, which do not fit into the '
            f'{digits} digits of a name; use fewer.'
        )
    return parts


def seen_by(world: World, pid: int, fraction: float, *groups: tuple[Sequence[int], int]) -> list[int]:
    """Chooses the cameras that see a person, sorted; always the same for the same world and pid.

    Each camera sees the person with probability ``fraction``. A group is cameras, and how many of them see the person
    at least.
    """
    rng = stream(world.seed, world.domain.name, 'seen', pid)
    chosen: list[int] = []
    for camids, least in groups:
        draws = rng.random(len(camids))
        count = max(least, int((draws < fraction).sum()))
        chosen += [camids[place] for place in np.argsort(draws)[:count]]
    return sorted(chosen)


def _without_box_errors(world: World) -> World:
    """Copies a world whose cameras aim perfectly; all else stays, as the errors are drawn and multiplied by 0."""
    twin = copy.copy(world)
    twin.cameras = tuple(replace(camera, crop_jitter=0.0) for camera in world.cameras)
    return twin
