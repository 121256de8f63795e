# Copyright (c) mmreid contributors. All rights reserved.
"""Contact sheets: many images of a data set in one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from .layout import Job, LayoutPlan
from .world import World

_GAP = 2
_HEAD, _SIDE = 14, 26
_FONT = (cv2.FONT_HERSHEY_SIMPLEX, 0.34, (40, 40, 40), 1, cv2.LINE_AA)


def contact_sheet(world: World, plan: LayoutPlan, people: int = 9, per_camera: int = 2) -> np.ndarray:
    """Shows some people of a data set: a row per person, a column per camera, with the names of the layout.

    The last rows are near-duplicates of each other, if the data set has a whole cluster of them. A cell stays white if
    the camera does not see the person.

    Args:
        world (World): The world.
        plan (LayoutPlan): Layout and sizes.
        people (int): Number of rows.
        per_camera (int): Images in each column.

    Returns:
        numpy.ndarray: (H, W, 3) uint8 RGB.
    """
    jobs: dict[int, dict[str, list[Job]]] = {}
    cameras: dict[str, int] = {}
    for job in plan.jobs(world):
        if job.kind in ('person', 'exact'):
            jobs.setdefault(job.pid, {}).setdefault(plan.title(job), []).append(job)
            cameras.setdefault(plan.title(job), job.camid)
    titles = sorted(cameras, key=cameras.get)
    height, width = world.size
    blank = np.full((height, width, 3), 255, np.uint8)
    rows = [_join([_label('', _HEAD), *(_label(title, _HEAD, per_camera * (width + _GAP) - _GAP) for title in titles)])]
    for pid in _choose_people(world, sorted(jobs), people):
        shown = [(jobs[pid].get(title, []) + [None] * per_camera)[:per_camera] for title in titles]
        cells = [blank if job is None else next(job.images(world))[1] for column in shown for job in column]
        rows.append(_join([_label(str(pid), height), *cells]))
    return np.vstack(rows)


def cluster_pids(world: World, count: int, start: int = 1) -> list[int]:
    """Finds up to ``count`` pids with near-duplicates, cluster by cluster, among 10,000 pids from ``start`` on."""
    members = (pid for pid in range(start, start + 10_000) if len(world.people.cluster_of(pid)) > 1)
    return [pid for pid, _ in zip(members, range(count), strict=False)]


def save_sheet(sheet: np.ndarray, path: str | Path, max_bytes: int = 120_000) -> None:
    """Stores an RGB sheet as JPEG of at most ``max_bytes``: reduces the quality, then the size, until it fits."""
    image = cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR)
    for scale in (1, 0.75, 0.5, 0.35, 0.25):
        smaller = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        for quality in range(90, 49, -5):
            _, data = cv2.imencode('.jpg', smaller, [cv2.IMWRITE_JPEG_QUALITY, quality])
            if data.size <= max_bytes:
                Path(path).parent.mkdir(parents=True, exist_ok=True)
                Path(path).write_bytes(data.tobytes())
                return
    raise ValueError(f'A sheet of {sheet.shape[:2]} pixels does not fit into {max_bytes} bytes; show fewer images.')


def _choose_people(world: World, pids: list[int], count: int) -> list[int]:
    """Chooses the first people, and at the end the first cluster of near-duplicates."""
    clusters = (world.people.cluster_of(pid) for pid in pids)
    twins = next((cluster for cluster in clusters if len(cluster) > 1 and set(cluster) <= set(pids)), [])
    return [pid for pid in pids if pid not in twins][: max(0, count - len(twins))] + twins


def _label(text: str, height: int, width: int = _SIDE) -> np.ndarray:
    """Writes a few letters on white, near the lower left corner of what they label."""
    image = np.full((height, width, 3), 255, np.uint8)
    return cv2.putText(image, text, (1, min(height - 4, height // 2 + 4)), *_FONT)


def _join(images: Sequence[np.ndarray]) -> np.ndarray:
    """Puts images of equal height side by side, with a gap to the right of and below each."""
    return np.hstack([np.pad(image, ((0, _GAP), (0, _GAP), (0, 0)), constant_values=255) for image in images])
