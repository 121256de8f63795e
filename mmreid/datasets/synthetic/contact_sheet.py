# Copyright (c) mmreid contributors. All rights reserved.
"""Contact sheets: many pictures on one, to look at a world."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from .world import World


def contact_sheet(world: World, pids: Sequence[int], images_per_camera: int = 2, gap: int = 2) -> np.ndarray:
    """Lay out people: one row each, columns are cameras times pictures.

    Args:
        world (World): The world.
        pids (Sequence[int]): Identities, one per row.
        images_per_camera (int): Pictures per camera.
        gap (int): White pixels between pictures.

    Returns:
        numpy.ndarray: (H, W, 3) uint8 RGB.
    """
    cameras = range(len(world.cameras))
    return tile([[world.render(p, c, i) for c in cameras for i in range(images_per_camera)] for p in pids], gap)


def style_sheet(world: World, pids: Sequence[int], camid: int = 0, gap: int = 2) -> np.ndarray:
    """Lay out camera-style pictures: one row per person, the same picture in the style of every camera.

    Args:
        world (World): The world.
        pids (Sequence[int]): Identities, one per row.
        camid (int): Camera that took the pictures.
        gap (int): White pixels between pictures.

    Returns:
        numpy.ndarray: (H, W, 3) uint8 RGB; column ``camid`` is the real picture.
    """
    return tile([[world.render(p, camid, 0, style) for style in range(len(world.cameras))] for p in pids], gap)


def cluster_pids(world: World, count: int, start: int = 1) -> list[int]:
    """Find people that have near-duplicates.

    Args:
        world (World): The world.
        count (int): How many pids are wanted.
        start (int): First pid to look at.

    Returns:
        list[int]: Whole clusters one after the other, cut to ``count``; fewer if 10 000 pids do not have as many.
    """
    members = (pid for pid in range(start, start + 10_000) if len(world.people.cluster_of(pid)) > 1)
    return [pid for pid, _ in zip(members, range(count), strict=False)]


def tile(rows: Sequence[Sequence[np.ndarray]], gap: int = 2) -> np.ndarray:
    """Join equally large pictures in a grid.

    Args:
        rows (Sequence[Sequence[numpy.ndarray]]): (H, W, 3) uint8 pictures, as many in each row.
        gap (int): White pixels between pictures.

    Returns:
        numpy.ndarray: (rows, columns) pictures as one.
    """
    frame = ((0, gap), (0, gap), (0, 0))
    return np.vstack([np.hstack([np.pad(x, frame, constant_values=255) for x in row]) for row in rows])


def save_sheet(sheet: np.ndarray, path: str | Path, max_bytes: int = 300_000) -> int:
    """Store a sheet as JPEG of limited size.

    Args:
        sheet (numpy.ndarray): (H, W, 3) uint8 RGB.
        path (str | Path): File to write.
        max_bytes (int): Largest file size in bytes.

    Returns:
        int: The JPEG quality that was used.

    Raises:
        ValueError: If the sheet does not fit even at quality 20.
    """
    for quality in range(90, 19, -5):
        _, data = cv2.imencode('.jpg', cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
        if data.size <= max_bytes:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_bytes(data.tobytes())
            return quality
    raise ValueError(f'A sheet of {sheet.shape[:2]} pixels does not fit into {max_bytes} bytes; show fewer pictures.')
