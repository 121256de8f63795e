# Copyright (c) mmreid contributors. All rights reserved.
"""Writes a report of saved features as a web page that needs no network: ``report.py [NAME=]FEATURES ... --out DIR``.

``tools/test.py CONFIG CHECKPOINT --save-features FEATURES`` saves the features.
"""

import argparse
from collections.abc import Sequence

from mmreid.apis.report import ReportOptions, read_sources, write_report
from mmreid.datasets.transforms.loading import MAX_PIXELS, check_max_pixels
from mmreid.utils.config import OptionsAction, load_config
from mmreid.utils.one_line_errors import one_line_errors
from mmreid.utils.registry_hints import suggest_names
from mmreid.utils.setup_env import register_all_modules

STEPS = dict(qe='QueryExpansion', rerank='KReciprocalRerank', tlift='TLift')


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description='Write a report of saved features as a web page')
    parser.add_argument(
        'features',
        nargs='*',
        metavar='[NAME=]FILE',
        help='what tools/test.py --save-features wrote (.pth), or mmreid extract (.npz); files of one NAME are seeds '
        'of one model',
    )
    parser.add_argument('--out', default='report', help='folder, ./report by default; an earlier report is replaced')
    parser.add_argument('--config', help='config whose test_evaluator evaluates; default: by the name of the test set')
    parser.add_argument('--title', default='Report', help='title of the page')
    parser.add_argument('--num-queries', type=int, default=200, help='queries with ranked lists, 200 by default')
    parser.add_argument('--topk', type=int, default=10, help='gallery images of each, 10 by default')
    parser.add_argument('--qe', action='store_true', help='a row of the table after query expansion')
    parser.add_argument('--rerank', action='store_true', help='a row after k-reciprocal re-ranking')
    parser.add_argument('--tlift', action='store_true', help='a row after temporal lifting')
    parser.add_argument('--link-images', action='store_true', help='link to the images instead of copying them small')
    parser.add_argument('--max-pixels', type=int, default=MAX_PIXELS, help='refuse larger images; 0 for no limit')
    parser.add_argument(
        '--work-dir',
        nargs='+',
        default=[],
        metavar='DIR',
        help='runs whose architecture, neighbor graph, neighbors or camera styles are shown',
    )
    parser.add_argument('--cfg-options', nargs='+', action=OptionsAction, help='override config entries, key=value ...')
    args = parser.parse_args(argv)
    if not args.features and not args.work_dir:
        parser.error('give at least one features file, or --work-dir')
    if args.num_queries < 1 or not 1 <= args.topk <= 50:
        parser.error(f'--num-queries {args.num_queries} must be at least 1, and --topk {args.topk} from 1 to 50')
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Writes the report, and says what is not in it."""
    args = parse_args(argv)
    register_all_modules()
    evaluators = None
    if args.config:
        evaluators = load_config(args.config, args.cfg_options, required=['test_evaluator']).test_evaluator
    steps = [dict(type=kind) for flag, kind in STEPS.items() if vars(args)[flag]]
    options = ReportOptions(
        title=args.title,
        num_queries=args.num_queries,
        topk=args.topk,
        link_images=args.link_images,
        max_pixels=check_max_pixels(args.max_pixels or None),
        work_dirs=tuple(args.work_dir),
    )
    with suggest_names():
        page, faults = write_report(args.out, read_sources(args.features, evaluators, steps), options)
    for sentence in faults:
        print(f'note: {sentence}')
    print(f'{page}: open it in a browser')


if __name__ == '__main__':
    with one_line_errors():
        main()
