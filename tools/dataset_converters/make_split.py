# Copyright (c) mmreid contributors. All rights reserved.
"""Divides own images into training, query and gallery: ``make_split.py SRC --out DIR``."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from rich.progress import Progress
from terminaltables import AsciiTable

from mmreid.datasets.preparation.own_layout import BASE, config_text, csv_text, write_folders
from mmreid.datasets.preparation.own_sources import Source, read_source
from mmreid.datasets.preparation.own_split import SplitPlan, split_rows
from mmreid.datasets.readers.csv_rows import SPLITS
from mmreid.utils.atomic_folder import atomic_folder, check_free, write_marker
from mmreid.utils.atomic_io import atomic_write
from mmreid.utils.one_line_errors import one_line_errors

ROOT = Path(__file__).parents[2]
CSV, MARKER = 'split.csv', 'split.json'


def fraction_or_number(text: str) -> float | int:
    """Reads ``0.5`` as a fraction and ``50`` as a number of identities."""
    return int(text) if text.isdecimal() else float(text)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description='Divide own images by identity into training, query and gallery',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument('src', type=Path, help='a CSV with img_path, pid[, camid]; or a folder of identity folders, in '
                        'these optionally camera folders; or a folder of images named like Market-1501')  # fmt: skip
    parser.add_argument('--out', type=Path, required=True, help=f'folder to write {CSV} to')
    parser.add_argument(
        '--test-ids', type=fraction_or_number, default=0.5, help='fraction or number of test identities'
    )
    parser.add_argument(
        '--val-ids', type=fraction_or_number, default=0, help='fraction or number of validation identities'
    )
    parser.add_argument('--query-per-cam', type=int, default=1, help='queries of an identity in each camera')
    parser.add_argument('--leftover', choices=['train', 'gallery'], default='train',
                        help='where to put identities that cannot be queries')  # fmt: skip
    parser.add_argument('--ignore-cameras', action='store_true', help='matches in the same camera count')
    parser.add_argument('--seed', type=int, default=0, help='another seed makes another split')
    parser.add_argument('--pattern', help='regular expression with (?P<pid>...) and optionally (?P<camid>...), '
                        'searched in the path of each image below SRC')  # fmt: skip
    parser.add_argument('--camera-pattern', help='regular expression with one group that finds the camera in a name')
    parser.add_argument('--data-root', type=Path, help='folder of the relative paths in a CSV; default: its own')
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument('--copy', action='store_true', help='copy the images into train/, query/ and gallery/ in DIR')
    kind.add_argument('--link', action='store_true', help='the same with symbolic links')
    parser.add_argument('--config', type=Path, help='also write a config that trains on this data')
    parser.add_argument('--base', type=Path, default=ROOT / BASE, help='which config it inherits')
    parser.add_argument('--force', action='store_true', help='replace what an earlier call wrote')
    return parser.parse_args(argv)


def check_targets(args: argparse.Namespace, source: Source) -> None:
    """Raises an error if files would be overwritten without --force, or the target is or holds the source."""
    if args.copy or args.link:
        out = args.out.resolve()
        for place in (args.src.resolve(), source.root.resolve()):
            if place == out or out in place.parents:
                raise ValueError(f'--out {args.out} holds the source {place}; give a folder of its own')
        check_free(args.out, MARKER, args.force)
        if any(row.get('modality') for row in source.rows):
            raise ValueError('folders cannot hold the column modality; leave --copy and --link out to write a CSV')
    else:
        target = args.out / CSV
        if target.resolve() == args.src.resolve():
            raise ValueError(f'{target} is the source itself; give another folder with --out')
        if target.exists() and not args.force:
            raise FileExistsError(f'{target} exists; use --force to replace it, or give another folder')
    if args.config and args.config.exists() and not args.force:
        raise FileExistsError(f'{args.config} exists; use --force to replace it, or give another file')
    if args.config and args.config.suffix != '.py':
        raise ValueError(f'--config {args.config} must end in .py')
    if not args.base.is_file():
        raise FileNotFoundError(f'--base {args.base} does not exist; give a config for Market-1501')


def count_table(rows: Sequence[dict], with_cameras: bool) -> str:
    """Draws the sizes of the splits, a row per split."""
    table = [['split', 'identities', 'images', 'cameras']]
    for split in SPLITS:
        chosen = [row for row in rows if row['split'] == split]
        cameras = len({row['camid'] for row in chosen}) if with_cameras else 1
        if chosen:
            table.append([split, len({row['pid'] for row in chosen}), len(chosen), cameras])
    drawn = AsciiTable(table)
    drawn.justify_columns = dict.fromkeys((1, 2, 3), 'right')
    return drawn.table


def write(args: argparse.Namespace, source: Source, rows: list[dict], with_cameras: bool) -> dict:
    """Writes the CSV file or the folders; returns type and paths of the data set, for a config."""
    if not (args.copy or args.link):
        text = csv_text(rows, with_cameras)
        args.out.mkdir(parents=True, exist_ok=True)
        atomic_write(args.out / CSV, text)
        # '..' behind a link would lead elsewhere.
        linked = source.root.resolve() != source.root.absolute()
        ann_file = (args.out / CSV).resolve() if linked else os.path.relpath(args.out / CSV, source.root)
        return dict(type='CsvReIDDataset', data_root=str(source.root), ann_file=str(ann_file))
    with atomic_folder(args.out, lambda: check_free(args.out, MARKER, args.force)) as folder, Progress() as bar:
        task = bar.add_task('Linking' if args.link else 'Copying', total=len(rows))
        write_folders(rows, source.root, folder, args.link, with_cameras, lambda: bar.advance(task))
        options = dict(test_ids=args.test_ids, val_ids=args.val_ids, seed=args.seed, images=len(rows))
        write_marker(folder, MARKER, options)
    return dict(type='FolderReIDDataset', data_root=str(args.out))


def describe(args: argparse.Namespace, source: Source, counts: dict[str, int], with_cameras: bool) -> list[str]:
    """Lists what the user should know about the split, in sentences."""
    sentences = list(source.notes)
    if counts['leftover']:
        need = 'images in two cameras' if with_cameras else 'a second image'
        where = 'trained on' if args.leftover == 'train' else 'in the gallery as distractors'
        sentences.append(f'{counts["leftover"]} identities lack {need}, so they cannot be queries and are {where}')
    if counts['distractors']:
        sentences.append('identity 0 marks distractors, which are in the gallery')
    if not with_cameras:
        sentences.append('there is one camera, so matches in the same camera count when testing')
    if (args.copy or args.link) and any(row.get('timestamp') is not None for row in source.rows):
        sentences.append('folders cannot hold the column timestamp, it is left out')
    return sentences


def main(argv: Sequence[str] | None = None) -> None:
    """Splits, writes, and shows the counts and the config."""
    args = parse_args(argv)
    source = read_source(args.src, args.data_root, args.pattern, args.camera_pattern)
    check_targets(args, source)
    plan = SplitPlan(args.test_ids, args.val_ids, args.query_per_cam, args.leftover, args.ignore_cameras, args.seed)
    rows, counts = split_rows(source.rows, plan, source.distractors)
    with_cameras = not args.ignore_cameras and len({row['camid'] for row in rows}) > 1
    dataset = write(args, source, rows, with_cameras)
    print(count_table(rows, with_cameras))
    for sentence in describe(args, source, counts, with_cameras):
        print(f'note: {sentence}')
    train_ids = len({row['pid'] for row in rows if row['split'] == 'train'})
    here = args.config or ROOT / 'configs' / 'my' / 'own.py'
    base = os.path.relpath(args.base.resolve(), here.resolve().parent)
    text = config_text(dataset, args.out.name, base, train_ids, bool(args.val_ids), with_cameras)
    if args.config:
        args.config.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(args.config, text)
    print(f'\n# {args.config or "configs/my/own.py, for example (--config FILE writes it)"}\n{text}')


if __name__ == '__main__':
    with one_line_errors():
        main()
