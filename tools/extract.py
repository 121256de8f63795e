# Copyright (c) mmreid contributors. All rights reserved.
"""Writes the embeddings of images to a file: ``python tools/extract.py MODEL IMAGES --out embeddings.npz``."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import mmreid  # noqa: F401  checks the installation
from mmreid.cli.inferencer_options import add_inferencer_options, build_inferencer
from mmreid.utils.atomic_io import atomic_write, ensure_new
from mmreid.utils.csv_text import write_csv
from mmreid.utils.one_line_errors import one_line_errors


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description='Write the embeddings of images to a file')
    add_inferencer_options(parser)
    parser.add_argument('images', nargs='+', help='image files, folders or globs')
    parser.add_argument('--out', required=True, help='.npz (arrays names and features) or .csv (a row per image)')
    parser.add_argument('--modality', choices=['visible', 'infrared'], help='for models that tell them apart')
    parser.add_argument('--raw', action='store_true', help='do not L2-normalize the embeddings')
    parser.add_argument('--skip-unreadable', action='store_true', help='leave out images that cannot be read')
    parser.add_argument('--force', action='store_true', help='replace a file that exists')
    args = parser.parse_args(argv)
    if not args.out.endswith(('.npz', '.csv')):
        parser.error(f'--out {args.out} must end with .npz or .csv')
    return args


def write(path: str, names: Sequence[str], features: np.ndarray) -> None:
    """Writes names and features (N, ...) to an .npz file, or vectors to a .csv file; completely or not at all."""
    if path.endswith('.npz'):
        atomic_write(path, lambda file: np.savez(file, names=np.array(names), features=features))
        return
    if features.ndim != 2:
        raise ValueError(f'features of shape {features.shape[1:]} do not fit into {path}; write a .npz file instead')
    header = ['name', *(f'f{number}' for number in range(features.shape[1]))]
    write_csv(path, header, ([name, *vector.tolist()] for name, vector in zip(names, features, strict=True)))


def main(argv: Sequence[str] | None = None) -> None:
    """Extracts and writes."""
    args = parse_args(argv)
    ensure_new([Path(args.out)], args.force)
    inferencer = build_inferencer(args)
    features, names = inferencer.extract(
        args.images if len(args.images) > 1 else args.images[0],
        modality=args.modality,
        normalize=not args.raw,
        on_error='skip' if args.skip_unreadable else 'raise',
        return_names=True,
    )
    write(args.out, names, features)
    print(f'{args.out}: {len(names)} x {" x ".join(map(str, features.shape[1:]))}')


if __name__ == '__main__':
    with one_line_errors():
        main()
