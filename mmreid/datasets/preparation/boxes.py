# Copyright (c) mmreid contributors. All rights reserved.
"""Boxes of people in frames, and the text format of MOTChallenge for them."""

from dataclasses import dataclass
from pathlib import Path

from mmreid.datasets.readers.list_rows import read_text

LARGEST = 1e9  # of any number; pixels, frames and identities are far below


@dataclass(frozen=True)
class Box:
    """One person in one frame.

    Attributes:
        frame (int): Number of the frame, from 1.
        track (int): Identity within the sequence.
        left, top, width, height (float): The box in pixels; (0, 0) is the corner of the image.
        klass (int | None): Class, 1 for a pedestrian; None if the file has none.
        visibility (float | None): Visible fraction, 0 to 1; None if the file has none.
        tracklet (int | None): Number of an unbroken appearance of the identity; None if the file has none.
    """

    frame: int
    track: int
    left: float
    top: float
    width: float
    height: float
    klass: int | None
    visibility: float | None
    tracklet: int | None = None


def read_boxes(path: Path, expected: str) -> list[Box]:
    """Reads ``gt.txt``: frame, id, left, top, width, height, flag[, class, visibility], counted from 1.

    Rows with flag 0 are left out, as the format says. Files of ten columns (MOT15) have no class and visibility.

    Args:
        path (Path): The file.
        expected (str): The expected tree, for the message.

    Returns:
        list[Box]: Boxes, sorted by frame and identity.

    Raises:
        FileNotFoundError: If it is missing.
        ValueError: If a row is malformed, or one identity has two boxes in a frame.
    """
    boxes: dict[tuple[int, int], tuple[int, Box]] = {}
    for number, line in enumerate(read_text(path, expected).splitlines(), 1):
        if not line.strip():
            continue
        box = _box(line, f'{path} line {number}')
        if box is None:
            continue
        before, _ = boxes.setdefault((box.frame, box.track), (number, box))
        if before != number:
            raise ValueError(
                f'{path} line {number}: identity {box.track} is in frame {box.frame} already, on line {before}; '
                'keep the right one'
            )
    if not boxes:
        raise ValueError(f'{path} has no box to consider (a flag of 0 in the seventh column means to ignore it)')
    return [boxes[key][1] for key in sorted(boxes)]


def _box(line: str, place: str) -> Box | None:
    try:
        values = [float(cell) for cell in line.split(',')]
    except ValueError:
        values = []
    if not 6 <= len(values) <= 10 or not all(abs(value) < LARGEST for value in values):
        raise ValueError(
            f'{place}: expected 6 to 10 numbers (frame,id,left,top,width,height,flag,class,visibility), got '
            f'{line!r:.200}'
        )
    frame, track, left, top, width, height = values[:6]
    if frame < 1 or frame % 1 or track < 0 or track % 1:
        raise ValueError(
            f'{place}: frame {frame:g} must count from 1 and identity {track:g} from 0; an identity of -1 is that of a '
            'detection file, so give the ground truth or tracks'
        )
    if len(values) > 6 and values[6] == 0:
        return None
    with_class = len(values) in (8, 9)
    return Box(
        int(frame), int(track), left - 1, top - 1, width, height,
        int(values[7]) if with_class else None, values[8] if len(values) == 9 else None,
    )  # fmt: skip
