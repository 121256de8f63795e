# Copyright (c) mmreid contributors. All rights reserved.
"""Draws the galleries of SYSU-MM01 and LLCM, some images of each identity and camera per trial."""

import random
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from mmreid.utils.mat_file import read_mat

Groups = Mapping[tuple[int, int], Sequence[int]]


def group_images(
    pids: torch.Tensor, camids: torch.Tensor, image_index: torch.Tensor | None = None
) -> dict[tuple[int, int], list[int]]:
    """Groups images by identity and camera, in the order in which the published draws visit them.

    Args:
        pids (torch.Tensor): Identities, shape (N,).
        camids (torch.Tensor): Cameras, shape (N,).
        image_index (torch.Tensor, optional): Position of each image in the folder of its identity and camera, shape
            (N,). Defaults to the order of the images.

    Returns:
        dict[tuple[int, int], list[int]]: Identity and camera, ascending, to indices of images in folder order.
    """
    place = torch.arange(len(pids)) if image_index is None else image_index
    keys = zip(pids.tolist(), camids.tolist(), place.tolist(), range(len(pids)), strict=True)
    groups: dict[tuple[int, int], list[int]] = {}
    for pid, camid, _, image in sorted(keys):
        groups.setdefault((pid, camid), []).append(image)
    return groups


def draw_seeded(groups: Groups, shot: int, trial: int) -> torch.Tensor:
    """Draws a gallery with Python's generator, seeded with the number of the trial.

    The stream is that of the published Python code for SYSU-MM01 (AGW, CM-NAS) and LLCM (DEEN).

    Args:
        groups (Groups): See :func:`group_images`.
        shot (int): Images per identity and camera.
        trial (int): Number of the trial, from 0.

    Returns:
        torch.Tensor: Indices of the drawn images, by identity and camera, shape (G,), int64.

    Raises:
        ValueError: If a group has fewer images.
    """
    require_images(groups, shot)
    draw = random.Random(trial)
    return torch.tensor([image for group in groups.values() for image in draw.sample(list(group), shot)])


def draw_seeded_trials(groups: Groups, shot: int, trials: int) -> list[torch.Tensor]:
    """Draws the galleries of all trials, see :func:`draw_seeded`; remembers them, as each validation draws the same.

    Args:
        groups (Groups): See :func:`group_images`.
        shot (int): Images per identity and camera.
        trials (int): Number of trials.

    Returns:
        list[torch.Tensor]: One gallery per trial; not to be changed.

    Raises:
        ValueError: If a group has fewer images.
    """
    return list(_seeded_trials(tuple((key, tuple(images)) for key, images in groups.items()), shot, trials))


@lru_cache(maxsize=8)
def _seeded_trials(groups: tuple, shot: int, trials: int) -> tuple[torch.Tensor, ...]:
    return tuple(draw_seeded(dict(groups), shot, trial) for trial in range(trials))


def draw_official(groups: Groups, shot: int, trial: int, permutations: 'Permutations') -> torch.Tensor:
    """Draws a gallery of SYSU-MM01 with the permutations of its authors.

    Args:
        groups (Groups): See :func:`group_images`; each must have all images of its folder.
        shot (int): Images per identity and camera.
        trial (int): Number of the trial, from 0.
        permutations (Permutations): See :func:`read_permutations`.

    Returns:
        torch.Tensor: Indices of the drawn images, by identity and camera, shape (G,), int64.

    Raises:
        ValueError: If a group has fewer images, or the permutations are of other folders.
    """
    require_images(groups, shot)
    drawn: list[int] = []
    for (pid, camid), images in groups.items():
        order = permutations.order(pid, camid, trial)
        if sorted(order) != list(range(len(images))):
            raise ValueError(
                f'{permutations.path} orders {len(order)} images of identity {pid} in camera {camid + 1}, but the test '
                f'set has {len(images)}; the official draw needs the complete folders of SYSU-MM01'
            )
        drawn += [images[place] for place in order[:shot]]
    return torch.tensor(drawn)


def require_images(groups: Groups, shot: int) -> None:
    """Raises ValueError, with counts, unless every group has at least ``shot`` images."""
    short = {key: len(images) for key, images in groups.items() if len(images) < shot}
    if short:
        (pid, camid), count = next(iter(short.items()))
        raise ValueError(
            f'a gallery of {shot} images per identity and camera cannot be drawn: {len(short)} of {len(groups)} '
            f'identity-camera pairs have fewer, e.g. identity {pid} has {count} in camera {camid + 1}; use '
            f'shot={min(short.values())} or less, or complete the data'
        )


class Permutations:
    """The official draws of SYSU-MM01: an order of the images of each identity and camera for each trial.

    Args:
        cells (Sequence[Sequence[np.ndarray]]): For each camera, for each identity from 1: an array (trials, images) of
            numbers from 1.
        path (str): The file they are from, for messages.
    """

    def __init__(self, cells: Sequence[Sequence[np.ndarray]], path: str) -> None:
        self.cells, self.path = cells, path

    def order(self, pid: int, camid: int, trial: int) -> list[int]:
        """Returns the order of a folder, as positions from 0; empty if the file has no image there.

        Args:
            pid (int): Identity.
            camid (int): Camera, from 0.
            trial (int): Number of the trial, from 0.

        Raises:
            ValueError: If the file has fewer trials.
        """
        if camid >= len(self.cells) or not 1 <= pid <= len(self.cells[camid]):
            return []
        rows = self.cells[camid][pid - 1]
        if rows.size and trial >= len(rows):
            raise ValueError(f'{self.path} has {len(rows)} trials, but trial {trial + 1} was asked for; lower trials')
        return [int(number) - 1 for number in rows[trial]] if rows.size else []


def read_permutations(path: str | Path) -> Permutations:
    """Reads ``rand_perm_cam.mat``, which the authors of SYSU-MM01 publish beside their evaluation code.

    Args:
        path (str | Path): The file.

    Returns:
        Permutations: The draws.

    Raises:
        FileNotFoundError: If there is no such file.
        ImportError: If SciPy is missing, which reads it.
        ValueError: If it is another file.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(
            f'{path} does not exist; the official draw needs rand_perm_cam.mat from the evaluation code of SYSU-MM01'
        )
    try:
        cells = read_mat(path)['rand_perm_cam']
    except ImportError as error:
        raise ImportError(
            f'{path} can be read only with SciPy: run "pip install scipy", or use gallery=\'seeded\''
        ) from error
    except (ValueError, KeyError) as error:
        raise _other_file(path, error) from error
    try:
        cells = [[np.asarray(rows, dtype=np.int64) for rows in camera.ravel()] for camera in cells.ravel()]
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise _other_file(path, error) from error
    if any(rows.ndim != 2 for camera in cells for rows in camera):
        raise _other_file(path, ValueError('its entries are not tables'))
    return Permutations(cells, str(path))


def _other_file(path: str | Path, error: Exception) -> ValueError:
    return ValueError(
        f'{path} is not rand_perm_cam.mat ({type(error).__name__}: {error}); get it again from the evaluation code of '
        'SYSU-MM01'
    )
