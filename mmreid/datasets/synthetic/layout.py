# Copyright (c) mmreid contributors. All rights reserved.
"""What the layouts of all data sets share: which image goes to which file, decided before anything is drawn."""

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
        kind (str): 'person'; 'exact', the same image with a box without error; 'distractor' or 'junk'.
        pid (int): Identity in the image; 0 for a distractor.
        camid (int): Camera, from 0.
        index (int): Number of the image.
        path (str): File, relative to the root folder, with forward slashes. Its ending decides how it is compressed.
        styles (tuple[tuple[int, str], ...]): Cameras whose style the image is stored in as well, and these files.
    """

    kind: str
    pid: int
    camid: int
    index: int
    path: str
    styles: tuple[tuple[int, str], ...] = ()

    def paths(self) -> list[str]:
        """List the files of this job.

        Returns:
            list[str]: The image, then those in other styles.
        """
        return [self.path, *(path for _, path in self.styles)]

    def images(self, world: World) -> Iterator[tuple[str, np.ndarray, int]]:
        """Take the image, then those in other styles.

        Args:
            world (World): The world.

        Yields:
            tuple[str, numpy.ndarray, int]: File, (H, W, 3) uint8 RGB, camera whose style the image has.
        """
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

    A plan has the sizes as fields, and says below which value each makes no sense.

    Raises:
        ValueError: If a size is out of range.
    """

    #: Name of the layout.
    LAYOUT: ClassVar[str]
    #: How many cameras its names can hold, and how many the real data set has.
    CAMERAS: ClassVar[range]
    DEFAULT_CAMERAS: ClassVar[int]
    #: Cameras that see infrared light.
    INFRARED: ClassVar[tuple[int, ...]] = ()
    #: Folders of cameras, none of which may be empty.
    FOLDERS: ClassVar[tuple[str, ...]] = ()
    #: Size that fills these folders.
    FILLED_BY: ClassVar[str] = 'train_ids'
    #: Smallest value of each size; any reason for it.
    LEAST: ClassVar[dict[str, int]]
    WHY: ClassVar[dict[str, str]] = {}

    def __post_init__(self) -> None:
        for name, least in self.LEAST.items():
            if getattr(self, name) < least:
                why = f'; {self.WHY[name]}' if name in self.WHY else ''
                raise ValueError(f'{name} is {getattr(self, name)}, but must be {least} or more{why}.')
        if not 0 < getattr(self, 'camera_share', 1) <= 1:
            raise ValueError(
                f'camera_share is the share of the cameras that see a person, but got {self.camera_share}; use a '
                'number above 0, up to 1.'
            )

    @classmethod
    def options(cls) -> list[str]:
        """List the names of the sizes.

        Returns:
            list[str]: Field names.
        """
        return [field.name for field in fields(cls)]

    def parameters(self) -> dict[str, int | float | bool | str]:
        """List the sizes by name.

        Returns:
            dict: Field name to value.
        """
        return asdict(self)

    def make_world(self, **kwargs) -> World:
        """Make a world with the cameras of this layout.

        Args:
            **kwargs: See ``World``; ``cameras`` is as many as the real data set has unless given.

        Returns:
            World: The world.

        Raises:
            ValueError: If the layout cannot hold as many cameras, or ``World`` refuses an argument.
        """
        kwargs = dict(cameras=self.DEFAULT_CAMERAS, infrared=self.INFRARED) | kwargs
        self._check_cameras(kwargs['cameras'])
        return World(**kwargs)

    def check_world(self, world: World) -> None:
        """Refuse a world whose cameras do not fit.

        Args:
            world (World): The world.

        Raises:
            ValueError: If it has too few or too many cameras, or others of them see infrared light.
        """
        self._check_cameras(len(world.cameras))
        if world.infrared != self.INFRARED:
            raise ValueError(
                f'The infrared cameras of the layout {self.LAYOUT!r} are {self.INFRARED}, but those of the world are '
                f'{world.infrared}; make it with infrared={self.INFRARED}.'
            )

    def jobs(self, world: World) -> Iterator[Job]:
        """List all images.

        Args:
            world (World): The world.

        Yields:
            Job: One image.
        """
        raise NotImplementedError

    def texts(self, world: World) -> dict[str, str]:
        """Write the text files of the layout, such as lists and splits.

        Args:
            world (World): The world.

        Returns:
            dict[str, str]: File, relative to the root folder, to its content.
        """
        return {}

    def title(self, job: Job) -> str:
        """Name the camera of an image as the layout does, for the head of a contact sheet.

        Args:
            job (Job): The image.

        Returns:
            str: A few letters.
        """
        return f'c{job.camid + 1}'

    def _check_cameras(self, count: int) -> None:
        if count not in self.CAMERAS:
            least, most = self.CAMERAS[0], self.CAMERAS[-1]
            usable = str(least) if least == most else f'{least} to {most}'
            raise ValueError(f'The layout {self.LAYOUT!r} cannot hold {count} cameras; use {usable}.')


def split_pids(world: World, *sizes: int, digits: int = 4) -> list[range]:
    """Divide the people into parts; a cluster of near-duplicates is never cut.

    Args:
        world (World): The world.
        *sizes (int): Identities in each part.
        digits (int): Digits that a name has for the identity.

    Returns:
        list[range]: The pids of each part.

    Raises:
        ValueError: If the pids have too many digits.
    """
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


def seen_by(world: World, pid: int, share: float, *groups: tuple[Sequence[int], int]) -> list[int]:
    """Choose the cameras that see a person, always the same for the same world and pid.

    Args:
        world (World): The world.
        pid (int): Identity.
        share (float): Probability of each camera, up to 1.
        *groups (tuple[Sequence[int], int]): Cameras, and how many of these see the person at the least.

    Returns:
        list[int]: Cameras, ascending.
    """
    rng = stream(world.seed, world.domain.name, 'seen', pid)
    chosen: list[int] = []
    for camids, least in groups:
        draws = rng.random(len(camids))
        count = max(least, int((draws < share).sum()))
        chosen += [camids[place] for place in np.argsort(draws)[:count]]
    return sorted(chosen)


def _without_box_errors(world: World) -> World:
    """Copy a world whose cameras aim perfectly. All else stays, as the errors are drawn and multiplied by zero."""
    twin = copy.copy(world)
    twin.cameras = tuple(replace(camera, crop_jitter=0.0) for camera in world.cameras)
    return twin
