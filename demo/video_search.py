# Copyright (c) mmreid contributors. All rights reserved.
"""Where else was this person seen? ``video_search.py CLIP --model MODEL --tracklet N --out DIR``.

Cuts the tracked people of a clip out, adds them to a gallery, and searches it by one tracklet or an image. Everything
stays in DIR on this machine: crops of people, the gallery, a contact sheet and an annotated clip. Further clips with
the same DIR are searched together.
"""

import argparse
import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import cv2
import numpy as np
from terminaltables import AsciiTable

from mmreid.apis import Gallery, GalleryFilter, ReIDInferencer
from mmreid.apis.gallery import GalleryEntry
from mmreid.apis.gallery.image_labels import seconds_of_text
from mmreid.datasets.preparation.crop_folder import MARKER, write_crop_folder
from mmreid.datasets.preparation.mot import MotSequence, read_sequence
from mmreid.datasets.preparation.mot_crops import CropPlan
from mmreid.utils.file_hash import sha256_of
from mmreid.utils.one_line_errors import one_line_errors
from mmreid.utils.setup_env import register_all_modules
from mmreid.visualization.rank_list import (
    BLUE,
    GREEN,
    WHITE,
    RankedImage,
    draw_rank_list,
    stack_rows,
    write_image,
)

GALLERY, SHEET, CLIP = 'people.gallery', 'sheet.jpg', 'found.avi'
QUERIES = 20  # crops of a tracklet to search by, spread over its time
SHOWN = 6  # crops in a row of the sheet
LABEL = 14  # height of the label of a box in pixels
DAY = 86_400  # seconds


@dataclass(frozen=True)
class Found:
    """A tracklet that was found.

    Attributes:
        score (float): Mean score of its crops.
        entries (list[GalleryEntry]): Its crops, in the order of time.
    """

    score: float
    entries: list[GalleryEntry]


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description='Find where else in a clip, or in several, a person was seen')
    parser.add_argument('clip', type=Path, help='a video, or a sequence of MOTChallenge')
    parser.add_argument('--boxes', type=Path, help='boxes of its people, as mot2reid.py takes them')
    parser.add_argument('--model', required=True, help='a checkpoint, a published folder, or a model name')
    parser.add_argument('--device', help='cpu or cuda; by default the GPU if there is one')
    who = parser.add_mutually_exclusive_group(required=True)
    who.add_argument('--tracklet', type=int, help='whom to look for: a tracklet of this clip')
    who.add_argument('--image', type=Path, help='whom to look for: an image of the person')
    parser.add_argument('--out', type=Path, required=True, help='folder for crops, gallery, sheet and clip')
    parser.add_argument(
        '--start', type=seconds_of_text, default=0.0, metavar='TIME', help='when the clip begins, as 2026-01-31T12:00'
    )
    parser.add_argument('--topk', type=int, default=3, help='tracklets to show, 3 by default')
    parser.add_argument('--every', type=int, default=5, help='take every N-th frame, 5 by default')
    parser.add_argument('--min-height', type=int, default=32, help='least height of a crop in pixels, 32 by default')
    args = parser.parse_args(argv)
    if args.topk < 1:
        parser.error(f'--topk {args.topk} must be 1 or more')
    return args


def cut_tracklets(sequence: MotSequence, args: argparse.Namespace) -> list[dict]:
    """Cuts people out of a clip; returns the rows of its crops. Who they are, if the boxes say it, is not used."""
    boxes = [replace(box, track=_tracklet(box)) for box in sequence.boxes]
    folder = args.out / 'crops' / sequence.name
    folder.parent.mkdir(parents=True, exist_ok=True)
    plan = CropPlan(every=args.every, min_height=args.min_height)
    rows, _ = write_crop_folder([replace(sequence, boxes=boxes)], plan, folder, force=(folder / MARKER).exists())
    return [row | dict(image=str(folder / row['img_path'])) for row in rows]


def add_tracklets(gallery: Gallery, sequence: MotSequence, rows: Sequence[dict], start: float) -> None:
    """Makes the gallery hold the crops of this clip, which begins at ``start``; what it has is not extracted again."""
    first_of = {}
    for row in rows:  # two frames that are the same, as of a frozen camera, are one
        first_of.setdefault(sha256_of(row['image']), row)
    rows = list(first_of.values())
    wanted = {(*_facts(sequence, row), _time(row, start)) for row in rows}
    held = gallery.entries(GalleryFilter(cameras=sequence.name))
    stale = [entry.key for entry in held if (entry.id, entry.extra['frame'], entry.time) not in wanted]
    if stale:
        gallery.delete(keys=stale)
    gallery.add(
        [row['image'] for row in rows],
        ids=[_facts(sequence, row)[0] for row in rows],
        cameras=sequence.name,
        times=[_time(row, start) for row in rows],
        extra=[dict(frame=row['frame'], tracklet=row['track']) for row in rows],
    )


def search(gallery: Gallery, images: Sequence[str], own: str | None, topk: int) -> list[Found]:
    """Ranks the tracklets other than ``own`` by the mean score of their crops with all images."""
    total: Counter[str] = Counter()
    identities = gallery.info()['identities']
    for answers in gallery.search(list(images), identities, per_id='mean'):
        for answer in answers:
            total[answer.entry.id] += answer.score / len(images)
    best = [(name, score) for name, score in total.most_common() if name != own][:topk]
    return [Found(score, list(gallery.entries(GalleryFilter(ids=name)))) for name, score in best]


def draw_sheet(images: Sequence[str], found: Sequence[Found]) -> np.ndarray:
    """Draws the query in the first row, and each tracklet that was found in a row below."""
    rows = [[RankedImage(image, ('query', '')) for image in _spread(images, SHOWN)]]
    for rank, answer in enumerate(found, 1):
        entries = _spread(answer.entries, SHOWN)
        lines = [(f'{entry.camera}', clock(entry.time)) for entry in entries]
        lines[0] = (f'{rank}: {answer.score:.2f}', clock(entries[0].time))
        rows.append([RankedImage(e.image, text, labeled=False) for e, text in zip(entries, lines, strict=True)])
    return stack_rows([draw_rank_list(row, (160, 80), gray_missing=True) for row in rows])


def write_clip(path: Path, sequence: MotSequence, colors: dict[int, tuple[str, tuple[int, int, int]]]) -> None:
    """Writes the frames in which somebody of ``colors`` (tracklet: caption and B G R) is seen, with their boxes.

    Without such a frame there is no clip, and none of an earlier search.
    """
    path.unlink(missing_ok=True)
    boxes = defaultdict(list)
    for box in sequence.boxes:
        if _tracklet(box) in colors and box.frame in sequence.frames:
            boxes[box.frame].append(box)
    writer = None
    for number, read in zip(sorted(boxes), sequence.frames.read(sorted(boxes), None), strict=True):
        image = read().copy()
        for box in boxes[number]:
            text, color = colors[_tracklet(box)]
            corner = round(box.left), round(box.top)
            cv2.rectangle(image, corner, (round(box.left + box.width), round(box.top + box.height)), color, 2)
            write_label(image, text, (corner[0], max(LABEL, corner[1])), color)
        if writer is None:
            code = cv2.VideoWriter_fourcc(*'MJPG')
            writer = cv2.VideoWriter(str(path), code, sequence.frame_rate or 25.0, image.shape[1::-1])
        writer.write(image)
    if writer is not None:
        writer.release()


def write_label(image: np.ndarray, text: str, place: tuple[int, int], color: tuple[int, int, int]) -> None:
    """Writes a text on a field of a color whose lower left corner is ``place``."""
    width = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.4, 1)[0][0] + 4
    cv2.rectangle(image, (place[0], place[1] - LABEL), (place[0] + width, place[1]), color, -1)
    cv2.putText(image, text, (place[0] + 2, place[1] - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.4, WHITE, 1, cv2.LINE_AA)


def clock(seconds: float | None) -> str:
    """Shows a time of day with its date, or where a clip has no beginning, minutes and seconds in it."""
    if seconds is None:
        return ''
    if seconds >= DAY:
        return datetime.fromtimestamp(seconds).strftime('%m-%d %H:%M:%S')
    return f'{math.floor(seconds / 60)}:{seconds % 60:04.1f}'


def table_of(found: Sequence[Found]) -> str:
    """Shows where and when each tracklet was seen."""
    lines = [['rank', 'clip', 'tracklet', 'from', 'to', 'crops', 'score']]
    for rank, answer in enumerate(found, 1):
        first, last = answer.entries[0], answer.entries[-1]
        times = clock(first.time), clock(last.time)
        lines.append([rank, first.camera, first.extra['tracklet'], *times, len(answer.entries), f'{answer.score:.3f}'])
    return AsciiTable(lines).table


def _tracklet(box) -> int:
    return box.track if box.tracklet is None else box.tracklet


def _facts(sequence: MotSequence, row: dict) -> tuple[str, int]:
    return f'{sequence.name} {row["track"]}', row['frame']


def _time(row: dict, start: float) -> float | None:
    return start + float(row['timestamp']) if row['timestamp'] else None


def _spread(values: Sequence, count: int) -> list:
    """Chooses up to so many values, evenly."""
    places = np.linspace(0, len(values) - 1, min(count, len(values))).round().astype(int)
    return [values[place] for place in places]


def main(argv: Sequence[str] | None = None) -> None:
    """Cuts, adds, searches, and shows."""
    args = parse_args(argv)
    register_all_modules()
    sequence = read_sequence(args.clip, args.boxes)
    tracklets = sorted({_tracklet(box) for box in sequence.boxes})
    if args.tracklet is not None and args.tracklet not in tracklets:
        raise ValueError(f'{sequence.annotations} has no tracklet {args.tracklet}, but {tracklets!s:.200}')
    inferencer = ReIDInferencer(args.model, device=args.device)
    rows = cut_tracklets(sequence, args)
    own = None if args.tracklet is None else f'{sequence.name} {args.tracklet}'
    images = [row['image'] for row in rows if row['track'] == args.tracklet] if own else [str(args.image)]
    if not images:
        raise ValueError(
            f'tracklet {args.tracklet} has no crop; take more frames (--every) or smaller ones (--min-height)'
        )
    with Gallery.open(args.out / GALLERY, inferencer) as gallery:
        add_tracklets(gallery, sequence, rows, args.start)
        found = search(gallery, _spread(images, QUERIES), own, args.topk)
    print(table_of(found))
    write_image(args.out / SHEET, draw_sheet(images, found))
    colors = {} if own is None else {args.tracklet: ('query', BLUE)}
    for rank, answer in enumerate(found, 1):
        if answer.entries[0].camera == sequence.name:
            colors[answer.entries[0].extra['tracklet']] = (f'{rank}: {answer.score:.2f}', GREEN)
    write_clip(args.out / CLIP, sequence, colors)
    files = ', '.join([SHEET, *([CLIP] if (args.out / CLIP).is_file() else []), GALLERY])
    print(f'{args.out}: {files} and crops of people; delete the folder when you are done')


if __name__ == '__main__':
    with one_line_errors():
        main()
