# Copyright (c) mmreid contributors. All rights reserved.
"""Checks the data sets of a config before a training: ``verify_dataset.py CONFIG``."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from mmengine.config import Config
from rich.progress import Progress
from terminaltables import AsciiTable

from mmreid.datasets.preparation.checking import (
    DatasetReport,
    catch_problems,
    check_batches,
    check_dataset,
    leaf_configs,
    read_all,
)
from mmreid.datasets.preparation.leaks import leak_sentence
from mmreid.datasets.readers.published_counts import Counts
from mmreid.evaluation import FeatureMetric
from mmreid.registry import DATASETS, METRICS
from mmreid.utils.atomic_io import atomic_write
from mmreid.utils.config import OptionsAction, load_config
from mmreid.utils.one_line_errors import one_line_errors

SECTIONS = ('train', 'val', 'test')


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description='Check the data sets of a config; exit status 0 if they are clean, 1 if something is wrong'
    )
    parser.add_argument('config', help='config file; its model is not built')
    parser.add_argument('--split', choices=['all', *SECTIONS], default='all', help='which of its data loaders')
    parser.add_argument('--workers', type=int, default=min(8, os.cpu_count() or 1), help='threads that decode images')
    parser.add_argument('--no-images', action='store_true', help='do not decode the images')
    parser.add_argument(
        '--no-published', action='store_true', help='expect no published counts: for a part of a published data set'
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='also write the findings as JSON')
    parser.add_argument(
        '--unreadable', type=Path, metavar='FILE', help='also write the unreadable and damaged images, one per line'
    )
    parser.add_argument('--cfg-options', nargs='+', action=OptionsAction, help='override config entries, key=value ...')
    return parser.parse_args(argv)


def as_list(value: object) -> list:
    """Makes a list of one thing, several or none."""
    return list(value) if isinstance(value, (list, tuple)) else [value] if value else []


def find_datasets(cfg: Config, wanted: str) -> dict[str, dict]:
    """Finds the data sets of a config; equal ones of validation and test are one.

    Args:
        cfg (Config): The config.
        wanted (str): ``'train'``, ``'val'``, ``'test'`` or ``'all'``.

    Returns:
        dict[str, dict]: Config of each data set by its place, such as ``'train'``, ``'test 2'`` or ``'val = test'``.
    """
    found: dict[str, dict] = {}
    for section in SECTIONS if wanted == 'all' else (wanted,):
        loaders = as_list(cfg.get(f'{section}_dataloader'))
        for number, loader in enumerate(loaders, 1):
            place = section if len(loaders) == 1 else f'{section} {number}'
            same = [key for key, other in found.items() if other == loader['dataset']]
            if same:
                found[f'{same[0]} = {place}'] = found.pop(same[0])
            else:
                found[place] = loader['dataset']
    if not found:
        raise ValueError(f'the config has no data loader for --split {wanted}')
    return found


def check_place(cfg: Config, place: str, dataset_cfg: dict) -> tuple[list[DatasetReport], object | None]:
    """Checks each part of a data set, whether it fills training batches, and whether it can be scored.

    Args:
        cfg (Config): The config.
        place (str): Where it is in the config.
        dataset_cfg (dict): Its config.

    Returns:
        tuple[list[DatasetReport], object | None]: A report per part, and the whole, None if it cannot be read.
    """
    leaves = leaf_configs(dataset_cfg)
    reports = [
        check_dataset(leaf, place if len(leaves) == 1 else f'{place}, part {number}')
        for number, leaf in enumerate(leaves, 1)
    ]
    if any(report.dataset is None for report in reports):
        return reports, None
    whole = reports[0].dataset
    problems: list[str] = []
    with catch_problems(problems, []):
        if leaves[0] is not dataset_cfg and 'datasets' in dataset_cfg:
            whole = DATASETS.build({**dataset_cfg, 'pipeline': [], 'serialize_data': False})
        if place.startswith('train') and len(np.unique(whole.pids)) == 1:  # the metric says it of a test set
            problems.append('there is a single identity, which cannot be confused with anybody')
        if place.startswith('train') and (leaves[0] is dataset_cfg or 'datasets' in dataset_cfg):
            check_batches(find_loader(cfg, place), whole)
        for evaluator in find_evaluators(cfg, place):
            metric = METRICS.build(evaluator)
            metric.dataset_meta = whole.metainfo
            if isinstance(metric, FeatureMetric):
                metric.validate(whole)
    known = {problem for report in reports for problem in report.problems}
    reports[0].problems += [problem for problem in problems if problem not in known]
    return reports, whole


def find_loader(cfg: Config, place: str) -> dict:
    """Finds the data loader of a data set; the first of equal ones."""
    section, _, number = place.split(' = ')[0].partition(' ')
    return as_list(cfg[f'{section}_dataloader'])[int(number or 1) - 1]


def find_evaluators(cfg: Config, place: str) -> list[dict]:
    """Finds the evaluators of a place, such as ``'test 2'`` or ``'val = test'``; none for training, equal ones once."""
    found: list[dict] = []
    for single in place.split(' = '):
        section, _, number = single.partition(' ')
        evaluators = as_list(cfg.get(f'{section}_evaluator'))
        if number and len(evaluators) == len(as_list(cfg.get(f'{section}_dataloader'))):
            evaluators = as_list(evaluators[int(number) - 1])
        found += [evaluator for evaluator in evaluators if evaluator not in found]
    return found


def draw(rows: list[list], right: Sequence[int] = ()) -> str:
    """Draws a table."""
    table = AsciiTable([[str(cell) for cell in row] for row in rows])
    table.justify_columns = dict.fromkeys(right, 'right')
    return table.table


def count_table(reports: Sequence[DatasetReport]) -> str:
    """Draws the counts of the splits, identities / images, a row per split."""
    rows: list[list] = [
        ['where', 'data set', 'split', 'identities / images', 'on disk', 'published', 'cameras', 'images per identity',
         'modalities']
    ]  # fmt: skip
    for report in reports:
        if not report.splits:
            rows.append([report.section, report.name, 'not read'] + [''] * 6)
        for split in sorted(report.splits, key=('train', 'val', 'query', 'gallery').index):
            found = report.splits[split]
            low, middle, high = found.per_identity
            rows.append([
                report.section, report.name, split, _pair(Counts(found.identities, found.images)),
                _pair(found.on_disk), _pair(found.published), found.cameras, f'{low} - {middle:g} - {high}',
                ', '.join(f'{count} {name}' for name, count in found.modalities.items()),
            ])  # fmt: skip
    if not any(row[-1] for row in rows[1:]):
        rows = [row[:-1] for row in rows]
    return draw(rows, range(3, 7)) + '\nImages per identity: least - median - most.'


def _pair(counts: Counts | None) -> str:
    if counts is None:
        return ''
    return ' / '.join('?' if value is None else f'{value:,}' for value in counts)


def size_rows(reports: Sequence[DatasetReport], sizes: dict[str, tuple[int, int]]) -> dict[str, list]:
    """Returns least, median and most of height and of width by section."""
    rows = {}
    for report in reports:
        known = np.array([sizes[path] for path in report.paths if path in sizes])
        if len(known):
            rows[report.section] = [
                [int(known[:, side].min()), float(np.median(known[:, side])), int(known[:, side].max())]
                for side in (0, 1)
            ]
    return rows


def decode(
    reports: Sequence[DatasetReport], workers: int
) -> tuple[dict[str, tuple[int, int]], dict[str, str], dict[str, str]]:
    """Decodes every image once, with a bar; returns by path: height and width, faults, complaints of decoders."""
    limits = {path: report.max_pixels for report in reports for path in report.paths}
    paths = sorted(limits)
    with Progress() as bar:
        task = bar.add_task('Reading images', total=len(paths))
        sizes, faults, damaged = read_all(paths, workers, lambda: bar.advance(task), [limits[path] for path in paths])
    known = {path: tuple(size) for path, size in zip(paths, sizes.tolist(), strict=True) if path not in faults}
    return known, faults, damaged


def check_leaks(wholes: dict[str, object]) -> list[str]:
    """Compares each training set with each test set; a sentence per pair that shares something."""
    trains = [whole for place, whole in wholes.items() if place.startswith('train')]
    tests = [whole for place, whole in wholes.items() if not place.startswith('train')]
    return [text for train in trains for test in tests if (text := leak_sentence(train, test))]


def findings(
    args: argparse.Namespace,
    reports: Sequence[DatasetReport],
    sizes: dict,
    faults: dict[str, str],
    damaged: dict[str, str],
    leaks: list[str],
) -> dict:
    """Collects the findings in a form for JSON."""
    sets = []
    for report in reports:
        splits = {split: asdict(found) for split, found in report.splits.items()}
        for found in splits.values():
            for key in ('on_disk', 'published'):
                found[key] = found[key] and dict(zip(Counts._fields, found[key], strict=True))
        height, width = sizes.get(report.section, (None, None))
        sets.append(dict(where=report.section, name=report.name, splits=splits, height=height, width=width,
                         problems=report.problems, notes=report.notes))  # fmt: skip
    clean = not (leaks or faults or damaged or any(report.problems for report in reports))
    return dict(config=args.config, clean=clean, datasets=sets, leaks=leaks, unreadable=faults, damaged=damaged)


def main(argv: Sequence[str] | None = None) -> int:
    """Checks and prints; returns the exit status, 0 if everything is clean."""
    args = parse_args(argv)
    if args.workers < 1:
        raise ValueError(f'--workers {args.workers} must be 1 or more')
    cfg = load_config(args.config, args.cfg_options)
    reports, wholes = [], {}
    for place, dataset_cfg in find_datasets(cfg, args.split).items():
        for leaf in leaf_configs(dataset_cfg) if args.no_published else ():
            leaf['compare_counts'] = False
        of_place, whole = check_place(cfg, place, dataset_cfg)
        reports += of_place
        wholes |= {} if whole is None else {place: whole}
    print(count_table(reports))
    decoded, faults, damaged = ({}, {}, {}) if args.no_images else decode(reports, args.workers)
    sizes = size_rows(reports, decoded)
    if sizes:
        rows = [[place, *(' - '.join(map('{:g}'.format, side)) for side in pair)] for place, pair in sizes.items()]
        print(draw([['where', 'height', 'width'], *rows], (1, 2)) + '\nPixels: least - median - most.')
    result = findings(args, reports, sizes, faults, damaged, check_leaks(wholes))
    for report in reports:
        for note in report.notes:
            print(f'note: {report.section}: {note}')
    for report in reports:
        for problem in report.problems:
            print(f'problem: {report.section}: {problem}')
    words = [f'image {path} is damaged, its decoder says: {complaint}' for path, complaint in damaged.items()]
    for problem in [*result['leaks'], *faults.values(), *words]:
        print(f'problem: {problem}')
    if args.json:
        atomic_write(args.json, json.dumps(result, indent=2) + '\n')
    if args.unreadable:
        atomic_write(args.unreadable, ''.join(f'{path}\n' for path in [*faults, *damaged]))
    if not result['clean']:
        count = sum(len(report.problems) for report in reports) + len(result['leaks']) + len(faults) + len(damaged)
        print(f'{count} problems.')
        return 1
    images = len({path for report in reports for path in report.paths})
    print(f'Clean: {images} images{" (not decoded)" if args.no_images else " read"}.')
    return 0


if __name__ == '__main__':
    with one_line_errors():
        sys.exit(main())
