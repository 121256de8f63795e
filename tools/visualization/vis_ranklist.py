# Copyright (c) mmreid contributors. All rights reserved.
"""Draws ranked lists from saved features, without a network: ``vis_ranklist.py CONFIG FEATURES --select worst``.

``tools/test.py CONFIG CHECKPOINT --save-features FEATURES`` saves the features.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmreid.datasets.transforms.loading import MAX_PIXELS, check_max_pixels
from mmreid.engine.features.saved_features import as_kept, load_features
from mmreid.evaluation.metrics import FeatureMetric
from mmreid.evaluation.retrieval_set import RetrievalSet
from mmreid.registry import TASK_UTILS
from mmreid.utils.config import OptionsAction, load_config
from mmreid.utils.one_line_errors import one_line_errors
from mmreid.utils.registry_hints import suggest_names
from mmreid.utils.setup_env import register_all_modules
from mmreid.utils.work_dir import ensure_writable
from mmreid.visualization.rank_list import draw_rank_list, write_image
from mmreid.visualization.ranked_lists import (
    RankedEntry,
    choose_queries,
    draw_sheet,
    find_queries,
    image_name,
    list_entries,
    missing_files,
    rank_test_set,
    write_table,
)

STEPS = dict(qe='QueryExpansion', rerank='KReciprocalRerank', tlift='TLift')
Lists = dict[str, list[RankedEntry]]


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description='Draw ranked lists from saved features')
    parser.add_argument('config', help='config file; only its test_evaluator is used')
    parser.add_argument('features', help='what tools/test.py --save-features wrote')
    parser.add_argument('--out', type=Path, help='folder; default ./work_dirs/<config>/ranklists')
    parser.add_argument('--select', choices=['worst', 'best', 'random'], default='worst', help='by average precision')
    parser.add_argument('--num-queries', type=int, default=20, help='queries of each test set, 20 by default')
    parser.add_argument('--queries', nargs='+', metavar='FILE', help='draw these query images instead')
    parser.add_argument('--topk', type=int, default=10, help='gallery images of each query, 10 by default')
    parser.add_argument('--seed', type=int, default=0, help='seed of --select random')
    parser.add_argument('--test-set', metavar='NAME', help='draw this one only; default: each in the file')
    parser.add_argument('--row', help='which row of the table, e.g. indoor-multi; the first by default')
    parser.add_argument('--post', action='store_true', help='rank after the steps in post of the test_evaluator')
    parser.add_argument('--qe', action='store_true', help='rank after query expansion')
    parser.add_argument('--rerank', action='store_true', help='rank after k-reciprocal re-ranking')
    parser.add_argument('--tlift', action='store_true', help='rank after temporal lifting')
    parser.add_argument('--sheet', action='store_true', help='also write all lists of a test set into sheet.png')
    parser.add_argument('--gray-missing', action='store_true', help='draw gray fields for missing image files')
    parser.add_argument('--max-pixels', type=int, default=MAX_PIXELS, help='refuse larger images; 0 for no limit')
    parser.add_argument('--cfg-options', nargs='+', action=OptionsAction, help='override config entries, key=value ...')
    args = parser.parse_args(argv)
    if min(args.topk, args.num_queries) < 1:
        parser.error(f'--topk {args.topk} and --num-queries {args.num_queries} must be at least 1')
    args.out = args.out or Path('work_dirs') / Path(args.config).stem / 'ranklists'
    return args


def make_lists(args: argparse.Namespace, metric: FeatureMetric, query: RetrievalSet, gallery: RetrievalSet) -> Lists:
    """Ranks a test set by the rules of its metric, and lists the chosen queries by the name of the image to draw."""
    steps = list(metric.post) if args.post else []
    steps += [TASK_UTILS.build(dict(type=kind)) for flag, kind in STEPS.items() if vars(args)[flag]]
    query, gallery = as_kept(query, metric), as_kept(gallery, metric)
    ranking, query, gallery = rank_test_set(metric, query, gallery, steps, args.row, args.topk)
    if args.queries:
        chosen = find_queries(query, args.queries)
    else:
        chosen = choose_queries(ranking, args.select, args.num_queries, seed=args.seed)
    lists = [(index, list_entries(ranking, query, gallery, index, args.topk)) for index in chosen]
    return {image_name(index, entries[0], '.png'): entries for index, entries in lists}


def refuse_missing(lists: Lists, name: str, gray: bool) -> None:
    """Raises an error that names missing image files of a test set, or reports them if gray fields replace them."""
    missing = missing_files(lists.values())
    count = len({entry.img_path for entries in lists.values() for entry in entries})
    if missing and not gray:
        raise FileNotFoundError(
            f"{len(missing)} of {count} images of '{name}' do not exist: {', '.join(missing[:5])}"
            f'{" ..." if len(missing) > 5 else ""}; start in the folder where the features were saved, or draw '
            'gray fields with --gray-missing'
        )
    if missing:
        print(f'{name}: {len(missing)} of {count} images do not exist and are gray, the first of them {missing[0]}')


def main(argv: Sequence[str] | None = None) -> None:
    """Draws the lists of each test set into a folder of its own."""
    args = parse_args(argv)
    cfg = load_config(args.config, args.cfg_options, required=['test_evaluator'])
    register_all_modules()
    ensure_writable(args.out)
    drawing = dict(gray_missing=args.gray_missing, max_pixels=check_max_pixels(args.max_pixels or None))
    found = []
    with suggest_names():
        for metrics, query, gallery in load_features(args.features, cfg.test_evaluator):
            metric = metrics[0]
            found.append(metric.name)
            if args.test_set not in (None, metric.name):
                continue
            lists = make_lists(args, metric, query, gallery)
            refuse_missing(lists, metric.name, args.gray_missing)
            folder = ensure_writable(args.out / metric.name)
            for name, entries in lists.items():
                tiles = [entry.tile() for entry in entries]
                write_image(folder / name, draw_rank_list(tiles, **drawing))
            if args.sheet:
                write_image(folder / 'sheet.png', draw_sheet(lists.values(), **drawing))
            write_table(folder / 'ranked_lists.csv', lists)
            print(f'{folder}: {len(lists)} ranked lists')
    if args.test_set not in (None, *found):
        raise ValueError(f"{args.features} has no test set '{args.test_set}'; it has {', '.join(found)}")


if __name__ == '__main__':
    with one_line_errors():
        main()
