# Copyright (c) mmreid contributors. All rights reserved.
"""Cuts tracked people out of MOTChallenge sequences or videos, for re-ID: ``mot2reid.py SEQUENCES --out DIR``."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from terminaltables import AsciiTable

from mmreid.datasets.preparation.crop_folder import CSV, check_crop_folder, write_crop_folder
from mmreid.datasets.preparation.mot import find_sequences, read_sequence
from mmreid.datasets.preparation.mot_crops import CropPlan, describe_dropped
from mmreid.datasets.transforms.loading import MAX_PIXELS
from mmreid.utils.one_line_errors import one_line_errors


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description='Cut tracked people out of MOTChallenge sequences or videos',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        'src', type=Path, nargs='+', help='sequences (gt/gt.txt, img1/), folders that hold them, or videos'
    )
    parser.add_argument(
        '--boxes',
        type=Path,
        help='boxes of the only sequence: a CSV file, or one like gt.txt; of a video, by default the '
        'CSV file beside it that has its name',
    )
    parser.add_argument('--out', type=Path, required=True, help=f'folder to create, with images/ and {CSV}')
    parser.add_argument('--sequences', default='*', help="pattern of their names, such as 'MOT17-*-FRCNN'")
    parser.add_argument('--shared-ids', action='store_true', help='an identity is the same person in all sequences')
    parser.add_argument('--classes', type=int, nargs='+', default=[1], help='classes to keep; 1 is a pedestrian')
    parser.add_argument('--min-visibility', type=float, default=0.0, help='least visible fraction of a person')
    parser.add_argument('--min-height', type=int, default=1, help='least height of a crop in pixels')
    parser.add_argument('--min-width', type=int, default=1, help='least width of a crop in pixels')
    parser.add_argument(
        '--tracklet-cameras',
        action='store_true',
        help='each tracklet counts as a camera: for people seen several times by one camera',
    )
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
    table = [['sequence', 'cameras', 'identities', 'images']]
    names = dict.fromkeys(row['sequence'] for row in rows)
    for name, chosen in {name: [row for row in rows if row['sequence'] == name] for name in names}.items():
        table.append([name, len({row['camid'] for row in chosen}), len({row['pid'] for row in chosen}), len(chosen)])
    table.append(['all', len({row['camid'] for row in rows}), len({row['pid'] for row in rows}), len(rows)])
    drawn = AsciiTable(table)
    drawn.justify_columns = dict.fromkeys((1, 2, 3), 'right')
    return drawn.table


def main(argv: Sequence[str] | None = None) -> None:
    """Reads, cuts, writes, and prints the counts."""
    args = parse_args(argv)
    plan = CropPlan(
        tuple(args.classes), args.min_visibility, args.min_height, args.every, args.padding, args.shared_ids,
        args.skip_missing, args.fps, args.max_pixels or None, args.min_width, args.tracklet_cameras,
    )  # fmt: skip
    folders = find_sequences(args.src, args.sequences)
    for folder in folders:
        if args.out.resolve() in (folder.resolve(), *folder.resolve().parents):
            raise ValueError(f'--out {args.out} holds the sequence {folder}; give a folder of its own')
    if args.boxes and len(folders) != 1:
        raise ValueError(f'--boxes {args.boxes} belongs to one sequence, but there are {len(folders)}; name one')
    check_crop_folder(args.out, args.force)
    sequences = [read_sequence(folder, args.boxes) for folder in folders]
    rows, dropped = write_crop_folder(sequences, plan, args.out, args.workers, args.force)
    print(count_table(rows))
    print(f'left out: {describe_dropped(dropped)}')
    untimed = [sequence.name for sequence in sequences if not (sequence.frame_rate or plan.fps)]
    if untimed:
        print(f'note: no time stamps for {", ".join(untimed)}: neither seqinfo.ini nor --fps states the frame rate')
    cameras = '' if plan.shared_ids or plan.tracklet_cameras else ' --ignore-cameras'
    if plan.tracklet_cameras:
        print('note: tracklets count as cameras, so results show recognition across appearances, not across cameras')
    elif cameras:
        print('note: nobody is in two sequences (see --shared-ids), so matches in the same camera must count')
    print(f'\npython tools/dataset_converters/make_split.py {args.out / CSV} --out {args.out}{cameras}')


if __name__ == '__main__':
    with one_line_errors():
        main()
