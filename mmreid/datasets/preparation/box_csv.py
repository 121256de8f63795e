# Copyright (c) mmreid contributors. All rights reserved.
"""Reads the boxes of people in a video from a CSV file with a header."""

import csv
import io
from pathlib import Path

from mmreid.datasets.readers.list_rows import read_text

from .boxes import LARGEST, Box

FRAME, NUMBERS = ('frame0', 'frame'), ('x', 'y', 'w', 'h')
EXPECTED = (
    'a header with frame0 (from 0) or frame (from 1), tracklet, x, y, w, h (pixels, from the upper left corner), and '
    'person if tracklets of one person are known'
)


def read_box_csv(path: Path) -> list[Box]:
    """Reads the boxes.

    Args:
        path (Path): A CSV file, UTF-8, with the columns ``frame0`` (from 0) or ``frame`` (from 1), ``tracklet``, ``x``,
            ``y``, ``w``, ``h`` in pixels, and optionally ``person``; others are ignored. Without ``person``, each
            tracklet is a person.

    Returns:
        list[Box]: Boxes, sorted by frame and tracklet.

    Raises:
        FileNotFoundError: If it is missing.
        ValueError: If a column is missing, a row is malformed, or a tracklet has two persons or two boxes in a frame.
    """
    boxes: dict[tuple[int, int], Box] = {}
    persons: dict[int, int] = {}
    with io.StringIO(read_text(path, EXPECTED), newline='') as file:
        reader = csv.DictReader(file, skipinitialspace=True, strict=True)
        columns = reader.fieldnames or ()
        missing = [name for name in ('tracklet', *NUMBERS) if name not in columns]
        frame_column = next((name for name in FRAME if name in columns), None)
        if missing or frame_column is None:
            raise ValueError(f'{path} lacks {", ".join(missing or FRAME)} in {columns}; expected {EXPECTED}')
        try:
            for row in reader:
                place = f'{path} line {reader.line_num}'
                box = _box(row, frame_column, place)
                if persons.setdefault(box.tracklet, box.track) != box.track:
                    raise ValueError(f'{place}: tracklet {box.tracklet} is person {box.track} here and another before')
                if (box.frame, box.tracklet) in boxes:
                    raise ValueError(f'{place}: tracklet {box.tracklet} has two boxes in one frame; keep the right one')
                boxes[box.frame, box.tracklet] = box
        except csv.Error as error:
            raise ValueError(f'{path} line {reader.line_num} is not valid CSV ({error})') from error
    if not boxes:
        raise ValueError(f'{path} has a header but no rows; list one box per row')
    return [boxes[key] for key in sorted(boxes)]


def _box(row: dict, frame_column: str, place: str) -> Box:
    try:
        frame, tracklet = int(row[frame_column]), int(row['tracklet'])
        person = int(row.get('person') or tracklet)
        left, top, width, height = (float(row[name]) for name in NUMBERS)
    except (TypeError, ValueError) as error:
        raise ValueError(f'{place}: expected numbers, got {list(row.values())}') from error
    if not all(abs(value) < LARGEST for value in (frame, tracklet, person, left, top, width, height)):
        raise ValueError(f'{place}: a number of {list(row.values())} is too large or not a number')
    if min(frame, tracklet, person) < 0 or (frame_column == 'frame' and frame < 1):
        raise ValueError(f'{place}: {frame_column} {frame}, tracklet {tracklet} or person {person} is too small')
    frame += frame_column == 'frame0'
    return Box(frame, person, left, top, width, height, None, None, tracklet)
