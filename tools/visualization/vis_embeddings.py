# Copyright (c) mmreid contributors. All rights reserved.
"""Draws the embeddings of saved features by t-SNE: ``vis_embeddings.py FEATURES ... --out embeddings.png``."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmreid.engine.features.saved_features import read_features
from mmreid.utils.csv_text import write_csv
from mmreid.utils.one_line_errors import one_line_errors
from mmreid.utils.setup_env import register_all_modules
from mmreid.visualization.embeddings import PERPLEXITY, choose_embeddings, draw_embeddings, project

LABELS = ('identity', 'camera', 'modality', 'domain')


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description='Draw embeddings by t-SNE, in the colors of their labels')
    parser.add_argument('features', nargs='+', help='what tools/test.py --save-features wrote, of one model')
    parser.add_argument(
        '--out', type=Path, default=Path('embeddings.png'), help='.png, .pdf or .svg; a .csv is beside it'
    )
    parser.add_argument('--by', nargs='+', choices=LABELS, help='labels to color by; default: all that differ')
    parser.add_argument('--num-images', type=int, default=1000, help='most images, of random people; 1000 by default')
    parser.add_argument('--perplexity', type=float, default=PERPLEXITY, help='of t-SNE, 30 by default')
    parser.add_argument('--seed', type=int, default=0, help='seed of the choice and of t-SNE')
    args = parser.parse_args(argv)
    if args.out.suffix not in ('.png', '.pdf', '.svg') or not args.out.parent.is_dir():
        parser.error(f'--out {args.out} must end with .png, .pdf or .svg, in a folder that exists')
    if args.num_images < 5 or args.perplexity <= 0:
        parser.error(f'--num-images {args.num_images} must be at least 5 and --perplexity {args.perplexity} above 0')
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Draws the image, and writes a table of what is where."""
    args = parse_args(argv)
    register_all_modules()
    files = {path: read_features(path) for path in args.features}
    models = {path: saved.model for path, saved in files.items() if saved.model is not None}
    first = next(iter(models), None)
    for path, model in models.items():
        if model['hash'] != models[first]['hash']:
            raise ValueError(
                f'{path} holds features of {model["name"]} ({model["hash"]}), but {first} those of '
                f'{models[first]["name"]} ({models[first]["hash"]}); features of two models have no places in one image'
            )
    test_sets = [
        (test_set['meta'].get('dataset_name', 'reid'), test_set['query'], test_set['gallery'])
        for saved in files.values()
        for test_set in saved.test_sets
    ]
    found = choose_embeddings(test_sets, args.num_images, args.seed)
    places = project(found.feature, args.seed, args.perplexity)
    by = args.by or found.varied
    draw_embeddings(
        args.out, places, {name: found.labels[name] for name in by}, ', '.join(name for name, *_ in test_sets)
    )
    table = args.out.with_suffix('.csv')
    write_csv(
        table,
        ['img_path', 'x', 'y', *LABELS],
        zip(found.img_path, *places.T.tolist(), *(found.labels[name] for name in LABELS), strict=True),
    )
    print(f'{args.out}: {len(found)} images by {", ".join(by)}; {table} says what is where')


if __name__ == '__main__':
    with one_line_errors():
        main()
