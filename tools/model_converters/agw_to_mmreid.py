# Copyright (c) mmreid contributors. All rights reserved.
"""Converts weights of AGW, CAJ and ADCA for two modalities: ``agw_to_mmreid.py THEIRS OURS``."""

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import mmreid  # noqa: F401  lets checkpoints load
from mmreid.converters.agw import POOLS, convert
from mmreid.converters.weight_conversion import convert_file
from mmreid.utils.one_line_errors import one_line_errors


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description='Convert weights of AGW, CAJ and ADCA for visible and infrared images. Also writes DST.model.py '
        'next to DST, for _base_ of a config.'
    )
    parser.add_argument('src', type=Path, help='weights to read, *.t or *.pth')
    parser.add_argument('dst', type=Path, help='checkpoint to write')
    parser.add_argument(
        '--pool', choices=POOLS, help='pooling of the last map; default: gem with non-local blocks, average without'
    )
    parser.add_argument('--adca', action='store_true', help='weights of ADCA, whose pooling is gem')
    parser.add_argument('--force', action='store_true', help='replace files that exist')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Converts, and prints what happened to the entries."""
    args = parse_args(argv)
    source, convert_weights = 'ADCA' if args.adca else 'AGW', partial(convert, pool=args.pool, unsupervised=args.adca)
    convert_file(args.src, args.dst, convert_weights, ['net', 'state_dict'], source, args.force)


if __name__ == '__main__':
    with one_line_errors():
        main()
