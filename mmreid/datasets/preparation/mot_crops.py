# Copyright (c) mmreid contributors. All rights reserved.
"""Cuts tracked people out of the frames of sequences, as images for re-ID."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from mmreid.datasets.transforms.loading import MAX_PIXELS, check_max_pixels

from .boxes import Box
from .frames import Frames
from .mot import MotSequence

IMAGES = 'images'
QUALITY = 95


@dataclass(frozen=True)
class CropPlan:
    """Which boxes become images.

    Attributes:
        classes (tuple[int, ...]): Classes to keep, 1 is a pedestrian; for files that have classes.
        min_visibility (float): Least visible fraction; for files that have it.
        min_height (int): Least height of a crop, in pixels.
        every (int): Take every N-th frame of a sequence.
        padding (float): Margin on each side, as a fraction of the box's width and height.
        shared_ids (bool): Whether an identity is the same person in all sequences, and not another one in each.
        skip_missing (bool): Whether boxes in frames without an image are left out instead of refused.
        fps (float | None): Frames per second of sequences that do not state it.
        min_width (int): Least width of a crop, in pixels.
        tracklet_cameras (bool): Whether each tracklet counts as a camera, and not each sequence: what one camera saw
            of a person at different times can then be matched.
        max_pixels (int | None): Most pixels of a frame; None for no limit.

    Raises:
        ValueError: If a number is out of range.
    """

    classes: tuple[int, ...] = (1,)
    min_visibility: float = 0.0
    min_height: int = 1
    every: int = 1
    padding: float = 0.0
    shared_ids: bool = False
    skip_missing: bool = False
    fps: float | None = None
    max_pixels: int | None = MAX_PIXELS
    min_width: int = 1
    tracklet_cameras: bool = False

    def __post_init__(self) -> None:
        check_max_pixels(self.max_pixels)
        for name, low, high in (('min_visibility', 0, 1), ('min_height', 1, 10_000), ('min_width', 1, 10_000),
                                ('every', 1, 10**9), ('padding', 0, 1)):  # fmt: skip
            if not low <= (value := getattr(self, name)) <= high:
                raise ValueError(f'{name}={value} must be between {low} and {high}')
        if self.fps is not None and not 0 < self.fps < 10_000:
            raise ValueError(f'fps={self.fps} must be above 0, such as 30')


@dataclass(frozen=True)
class Crop:
    """One image to cut.

    Attributes:
        frames (Frames): Where its frame is.
        box (Box): The box.
        name (str): File name, as in Market-1501.
        row (dict): Its row in the list of images.
    """

    frames: Frames
    box: Box
    name: str
    row: dict


def plan_crops(sequences: Sequence[MotSequence], plan: CropPlan) -> tuple[list[Crop], Counter[str]]:
    """Chooses the boxes and names the images; each sequence, or each tracklet, is a camera.

    Args:
        sequences (Sequence[MotSequence]): The sequences.
        plan (CropPlan): What to keep.

    Returns:
        tuple[list[Crop], Counter[str]]: The crops, and how many boxes were left out for which reason.

    Raises:
        ValueError: If a filter needs what a file lacks, frames are missing, or nothing is left.
    """
    crops: list[Crop] = []
    dropped: Counter[str] = Counter()
    pids: dict[tuple[str, int], int] = {}
    cameras: dict[tuple[str, int | None], int] = {}
    seen: Counter[tuple[int, int, int]] = Counter()  # two tracklets of a person may be in one frame
    for sequence in sequences:
        rate = sequence.frame_rate or plan.fps
        for box in _kept(sequence, plan, dropped):
            # Identity 0 would be a distractor in the layout of Market-1501.
            key = ('' if plan.shared_ids else sequence.name, box.track)
            pid = pids.setdefault(key, len(pids) + 1)
            unit = (box.track if box.tracklet is None else box.tracklet) if plan.tracklet_cameras else None
            camera = cameras.setdefault((sequence.name, unit), len(cameras) + 1)
            place = pid, camera, box.frame
            name = f'{pid:04d}_c{camera}s1_{box.frame:06d}_{seen[place]:02d}.jpg'
            seen[place] += 1
            row = dict(
                img_path=f'{IMAGES}/{name}', pid=pid, camid=camera,
                timestamp='' if rate is None else f'{(box.frame - 1) / rate:.3f}',
                sequence=sequence.name, frame=box.frame, track=box.track,
                tracklet='' if box.tracklet is None else box.tracklet,
            )  # fmt: skip
            crops.append(Crop(sequence.frames, box, name, row))
    if not crops:
        raise ValueError(f'no box is left of {len(sequences)} sequences: {describe_dropped(dropped)}')
    return crops, dropped


def fingerprint(crops: Sequence[Crop]) -> str:
    """Returns a text that changes with the boxes, the names of the crops, and the size and time of the sources."""
    sources = sorted({crop.frames.path for crop in crops})
    stats = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in sources]
    return hashlib.sha256(repr((stats, [(crop.name, crop.box) for crop in crops])).encode()).hexdigest()


def describe_dropped(dropped: Counter[str]) -> str:
    """Lists how many boxes were left out for which reason, for a sentence."""
    return ', '.join(f'{count} boxes {reason}' for reason, count in sorted(dropped.items()) if count) or 'nothing'


def _kept(sequence: MotSequence, plan: CropPlan, dropped: Counter[str]) -> Iterator[Box]:
    _check_columns(sequence, plan)
    absent = [box for box in sequence.boxes if box.frame not in sequence.frames]
    if absent and not plan.skip_missing:
        raise ValueError(
            f'{sequence.annotations}: {len(absent)} boxes are in {len({box.frame for box in absent})} frames that have '
            f'no image, the first is frame {absent[0].frame}; extract these frames, or leave them out with '
            '--skip-missing'
        )
    for box in sequence.boxes:
        if box.frame not in sequence.frames:
            dropped['in frames without an image'] += 1
        elif (box.frame - sequence.frames.first) % plan.every:
            dropped['in frames between'] += 1
        elif box.klass is not None and box.klass not in plan.classes:
            dropped['of other classes'] += 1
        elif box.visibility is not None and box.visibility < plan.min_visibility:
            dropped['too hidden'] += 1
        else:
            yield box


def _check_columns(sequence: MotSequence, plan: CropPlan) -> None:
    if plan.min_visibility and any(box.visibility is None for box in sequence.boxes):
        raise ValueError(f'{sequence.annotations} has rows without visibility (ninth column); leave min_visibility out')


def cut_crops(
    crops: Sequence[Crop], plan: CropPlan, folder: Path, workers: int, progress: Callable[[int], None]
) -> tuple[list[dict], Counter[str]]:
    """Cuts the crops and writes them as JPEG; each frame is decoded once, and not at all if its crops are there.

    Args:
        crops (Sequence[Crop]): What to cut.
        plan (CropPlan): ``padding`` and ``min_height`` are used.
        folder (Path): Images are written to ``images`` in it.
        workers (int): Threads; the files do not depend on it.
        progress (Callable): Called with the number of crops done since the last call.

    Returns:
        tuple[list[dict], Counter[str]]: Rows of the written crops, in order, and how many were left out for which
        reason.

    Raises:
        CorruptImageError: If a frame cannot be read.
        ValueError: If no crop is left.
    """
    if workers < 1:
        raise ValueError(f'workers={workers} must be 1 or more')
    (folder / IMAGES).mkdir(exist_ok=True)
    rows: list[dict] = []
    dropped: Counter[str] = Counter()
    frames = _frames_to_cut(crops, folder / IMAGES, plan.max_pixels)
    with ThreadPoolExecutor(workers) as pool:  # decoding and encoding run in parallel, as OpenCV releases the GIL
        while chunk := list(islice(frames, 4 * workers)):  # so many frames of a video are in memory
            jobs = [pool.submit(_cut_frame, image, part, plan, folder / IMAGES) for image, part in chunk]
            for crop, reason in (done for job in jobs for done in job.result()):
                if reason:
                    dropped[reason] += 1
                else:
                    rows.append(crop.row)
            progress(sum(len(part) for _, part in chunk))
    if not rows:
        raise ValueError(f'no box is left of {len(crops)}: {describe_dropped(dropped)}')
    return rows, dropped


def _frames_to_cut(
    crops: Sequence[Crop], folder: Path, max_pixels: int | None
) -> Iterator[tuple[Callable[[], np.ndarray] | None, list[Crop]]]:
    """Yields the crops of each frame with the function that reads it; None if a killed call has written them all."""
    sources: dict[Frames, dict[int, list[Crop]]] = defaultdict(lambda: defaultdict(list))
    for crop in crops:
        sources[crop.frames][crop.box.frame].append(crop)
    for source, parts in sources.items():
        written = {number: all((folder / crop.name).exists() for crop in part) for number, part in parts.items()}
        images = source.read([number for number, done in written.items() if not done], max_pixels)
        for number, part in parts.items():
            yield None if written[number] else next(images), part


def _cut_frame(
    read: Callable[[], np.ndarray] | None, crops: list[Crop], plan: CropPlan, folder: Path
) -> list[tuple[Crop, str]]:
    """Writes the crops of one frame; returns for each why it was left out, or ''."""
    if read is None:
        return [(crop, '') for crop in crops]
    image = read()
    done = []
    for crop in crops:
        window = clip(crop.box, plan.padding, image.shape[:2])
        if window is None:
            done.append((crop, 'outside of the image'))
            continue
        top, bottom, left, right = window
        if bottom - top < plan.min_height or right - left < plan.min_width:
            done.append((crop, 'too low' if bottom - top < plan.min_height else 'too narrow'))
            continue
        patch = np.ascontiguousarray(image[top:bottom, left:right])
        data = cv2.imencode('.jpg', patch, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
        part = folder / f'.{crop.name}'
        part.write_bytes(data)
        part.rename(folder / crop.name)  # so that a file that is there is complete
        done.append((crop, ''))
    return done


def clip(box: Box, padding: float, shape: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """Returns the pixels of a box inside an image as top, bottom, left, right for slices.

    Args:
        box (Box): The box.
        padding (float): Margin on each side, as a fraction of the box.
        shape (tuple[int, int]): Height and width of the image.

    Returns:
        tuple[int, int, int, int] | None: None if nothing of the box itself is inside.
    """
    height, width = shape
    if min(box.width, box.height) <= 0 or min(box.left + box.width, box.top + box.height) <= 0:
        return None
    if box.left >= width or box.top >= height:
        return None
    top, bottom = box.top - padding * box.height, box.top + (1 + padding) * box.height
    left, right = box.left - padding * box.width, box.left + (1 + padding) * box.width
    window = (max(0, round(top)), min(height, round(bottom)), max(0, round(left)), min(width, round(right)))
    return window if window[0] < window[1] and window[2] < window[3] else None
