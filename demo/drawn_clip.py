# Copyright (c) mmreid contributors. All rights reserved.
"""Draws a clip of people who walk past a camera, some of them twice, with their boxes: ``drawn_clip.py CLIP.avi``."""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from mmreid.datasets.synthetic import World
from mmreid.datasets.synthetic.background import Backdrop
from mmreid.datasets.synthetic.painter import Painter
from mmreid.datasets.synthetic.person import draw_person
from mmreid.datasets.synthetic.pose import Pose, View
from mmreid.datasets.synthetic.streams import stream
from mmreid.utils.one_line_errors import one_line_errors

RATE = 12.5  # frames per second
SUPERSAMPLE = 2
PASS = 40  # frames that a walk past the camera takes
#: Walks: who, when it begins (in parts of PASS), to the right or to the left, and height in the frame.
WALKS = (
    (1, 0.0, 1, 0.66), (2, 0.4, -1, 0.58), (3, 1.2, 1, 0.6), (4, 1.5, -1, 0.68), (1, 2.5, -1, 0.6), (5, 2.9, 1, 0.56),
    (3, 3.6, -1, 0.66), (2, 4.3, 1, 0.62),
)  # fmt: skip


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description='Draw a clip of people who walk past a camera, with their boxes')
    parser.add_argument('clip', type=Path, help='the video to write, *.avi; the boxes go to a CSV file beside it')
    parser.add_argument('--size', type=int, nargs=2, default=[192, 384], metavar=('H', 'W'), help='default 192 384')
    parser.add_argument('--walks', type=int, default=len(WALKS), help=f'people that pass, up to {len(WALKS)}')
    parser.add_argument('--seed', type=int, default=0, help='another seed is another scene with other people')
    args = parser.parse_args(argv)
    if args.clip.suffix != '.avi' or not 1 <= args.walks <= len(WALKS):
        parser.error(f'{args.clip} must end with .avi, and --walks {args.walks} be from 1 to {len(WALKS)}')
    return args


def draw_frames(
    size: tuple[int, int], walks: Sequence[tuple], seed: int
) -> Iterator[tuple[np.ndarray, list[tuple[int, ...]]]]:
    """Draws frame by frame: an image (H, W, 3), BGR, uint8, and tracklet, person, x, y, w, h of each box in it."""
    world = World(seed, 'daylight', cameras=1, size=size)
    camera = world.camera(0)
    shape = (SUPERSAMPLE * size[0], SUPERSAMPLE * size[1])
    rng = stream(seed, 'clip')
    ground = Backdrop(rng, camera.scene, shape, sites=1).cut(rng)
    for frame in range(round((max(begin for _, begin, _, _ in walks) + 1) * PASS)):
        painter, boxes = Painter(ground.copy()), []
        # Who is larger is nearer, so that the others are drawn first.
        for tracklet, (person, begin, to, height) in sorted(enumerate(walks), key=lambda walk: walk[1][3]):
            part = frame / PASS - begin
            if 0 <= part < 1:
                left = shape[1] * (part if to > 0 else 1 - part)
                view = View(to * 1.2, camera.elevation, (left, shape[0] * (0.93 - height)), shape[0] * height)
                draw_person(painter, world.person(person), Pose(to * 1.2, 0.55 * frame, 0.4, 0.4, 0.3, 0, 0.0), view)
                edges = np.array(painter.box(np.zeros(4))) // SUPERSAMPLE
                boxes.append((tracklet, person, *edges[:2].tolist(), *(edges[2:] - edges[:2]).tolist()))
                painter.finish()
        image = world.develop(painter.canvas, ('clip', frame), 0)
        yield cv2.cvtColor(image, cv2.COLOR_RGB2BGR), boxes


def main(argv: Sequence[str] | None = None) -> None:
    """Draws the clip, and writes its boxes beside it."""
    args = parse_args(argv)
    writer = cv2.VideoWriter(str(args.clip), cv2.VideoWriter_fourcc(*'MJPG'), RATE, tuple(args.size[::-1]))
    if not writer.isOpened():
        raise OSError(f'{args.clip} cannot be written; does its folder exist?')
    lines = ['frame0,tracklet,person,x,y,w,h']
    for number, (image, boxes) in enumerate(draw_frames(tuple(args.size), WALKS[: args.walks], args.seed)):
        writer.write(image)
        lines += [','.join(map(str, (number, *box))) for box in boxes if box[4] >= 0.2 * box[5]]
    writer.release()
    args.clip.with_suffix('.csv').write_text('\n'.join(lines) + '\n', encoding='utf-8')
    print(f'{args.clip}, {args.clip.with_suffix(".csv")}: {number + 1} frames, {len(lines) - 1} boxes')


if __name__ == '__main__':
    with one_line_errors():
        main()
