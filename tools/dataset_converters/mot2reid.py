# Copyright (c) mmreid contributors. All rights reserved.
"""Cuts people out of MOTChallenge sequences, for re-ID: ``mot2reid.py SEQUENCES --out DIR``."""

import argparse
import csv
import io
from collections.abc import Sequence
from pathlib import Path

from rich.progress import Progress
from terminaltables import AsciiTable

from mmreid.datasets.preparation.mot import find_sequences, read_sequence
from mmreid.datasets.preparation.mot_crops import CropPlan, cut_crops, describe_dropped, plan_crops
from mmreid.datasets.transforms.loading import MAX_PIXELS
from mmreid.utils.atomic_folder import atomic_folder, check_free, write_marker
from mmreid.utils.one_line_errors import one_line_errors

CSV, MARKER = 'crops.csv', 'mot2reid.json'
SPLIT = 'split.csv'  # what make_split.py adds; it does not fit other crops


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description='Cut people out of MOTChallenge sequences',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument('src', type=Path, nargs='+', help='sequences (gt/gt.txt, img1/), or folders that hold them')
    parser.add_argument('--out', type=Path, required=True, help=f'folder to create, with images/ and {CSV}')
    parser.add_argument('--sequences', default='*', help="pattern of their names, such as 'MOT17-*-FRCNN'")
    parser.add_argument('--shared-ids', action='store_true', help='an identity is the same person in all sequences')
    parser.add_argument('--classes', type=int, nargs='+', default=[1], help='classes to keep; 1 is a pedestrian')
    parser.add_argument('--min-visibility', type=float, default=0.0, help='least visible fraction of a person')
    parser.add_argument('--min-height', type=int, default=1, help='least height of a crop in pixels')
    parser.add_argument('--every', type=int, default=1, help='take every N-th frame')
    parser.add_argument('--padding', type=float, default=0.0, help='margin on each side, as a fraction of the box')
    parser.add_argument('--fps', type=float, help='frames per second, if seqinfo.ini does not state it')
    parser.add_argument('--skip-missing', action='store_true', help='leave out frames that have no image')
    parser.add_argument('--max-pixels', type=int, default=MAX_PIXELS, help='refuse larger frames; 0 for no limit')
    parser.add_argument('--workers', type=int, default=4, help='threads; the files do not depend on it')
    parser.add_argument('--force', action='store_true', help='replace what an earlier call wrote')
    return parser.parse_args(argv)


def count_table(rows: Sequence[dict]) -> str:
    """Draws the sizes of the sequences, a row per sequence."""
    table = [['sequence', 'camera', 'identities', 'images']]
    for name, camera in dict.fromkeys((row['sequence'], row['camid']) for row in rows):
        chosen = [row for row in rows if row['sequence'] == name]
        table.append([name, camera, len({row['pid'] for row in chosen}), len(chosen)])
    table.append(['all', '', len({row['pid'] for row in rows}), len(rows)])
    drawn = AsciiTable(table)
    drawn.justify_columns = dict.fromkeys((1, 2, 3), 'right')
    return drawn.table


def main(argv: Sequence[str] | None = None) -> None:
    """Reads, cuts, writes, and prints the counts."""
    args = parse_args(argv)
    plan = CropPlan(
        tuple(args.classes), args.min_visibility, args.min_height, args.every, args.padding, args.shared_ids,
        args.skip_missing, args.fps, args.max_pixels or None,
    )  # fmt: skip
    folders = find_sequences(args.src, args.sequences)
    for folder in folders:
        if args.out.resolve() in (folder.resolve(), *folder.resolve().parents):
            raise ValueError(f'--out {args.out} holds the sequence {folder}; give a folder of its own')
    check_free(args.out, MARKER, args.force, (SPLIT,))
    sequences = [read_sequence(folder) for folder in folders]
    crops, dropped = plan_crops(sequences, plan)
    with (
        atomic_folder(args.out, lambda: check_free(args.out, MARKER, args.force, (SPLIT,))) as folder,
        Progress() as bar,
    ):
        task = bar.add_task('Cutting', total=len(crops))
        rows, lost = cut_crops(crops, plan, folder, args.workers, lambda count: bar.advance(task, count))
        with io.StringIO(newline='') as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator='\n')
            writer.writeheader()
            writer.writerows(rows)
            (folder / CSV).write_text(file.getvalue(), encoding='utf-8')
        options = {key: str(value) if isinstance(value, Path) else value for key, value in vars(args).items()
                   if key not in ('src', 'out', 'workers', 'force', 'max_pixels')}  # fmt: skip
        write_marker(folder, MARKER, options | dict(images=len(rows)))
    print(count_table(rows))
    print(f'left out: {describe_dropped(dropped + lost)}')
    untimed = [sequence.name for sequence in sequences if not (sequence.frame_rate or plan.fps)]
    if untimed:
        print(f'note: no time stamps for {", ".join(untimed)}: neither seqinfo.ini nor --fps states the frame rate')
    cameras = '' if plan.shared_ids else ' --ignore-cameras'
    if cameras:
        print('note: nobody is in two sequences (see --shared-ids), so matches in the same camera must count')
    print(f'\npython tools/dataset_converters/make_split.py {args.out / CSV} --out {args.out}{cameras}')


if __name__ == '__main__':
    with one_line_errors():
        main()
