# Copyright (c) mmreid contributors. All rights reserved.
"""Converts weights of fast-reid's BoT, AGW and SBS with a ResNet: ``fastreid_to_mmreid.py THEIRS OURS``."""

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import mmreid  # noqa: F401  lets checkpoints load
from mmreid.converters.fastreid import POOLS, STEM_POOLS, convert
from mmreid.converters.weight_conversion import convert_file
from mmreid.utils.one_line_errors import one_line_errors


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description='Convert weights of fast-reid: BoT, AGW and SBS with a ResNet, with or without IBN and non-local '
        'blocks. Also writes DST.model.py next to DST, for _base_ of a config.'
    )
    parser.add_argument('src', type=Path, help='weights to read, *.pth')
    parser.add_argument('dst', type=Path, help='checkpoint to write')
    parser.add_argument('--last-stride', type=int, choices=[1, 2], default=1, help='MODEL.BACKBONE.LAST_STRIDE')
    parser.add_argument(
        '--stem-pool', choices=STEM_POOLS, default='unpadded', help='padded: as in early versions of fast-reid'
    )
    parser.add_argument(
        '--pool', choices=POOLS, help='pooling of the last map if its exponent is not learned; default: average'
    )
    parser.add_argument('--force', action='store_true', help='replace files that exist')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Converts, and prints what happened to the entries."""
    args = parse_args(argv)
    options = dict(last_stride=args.last_stride, stem_pool=args.stem_pool, pool=args.pool)
    convert_file(args.src, args.dst, partial(convert, **options), ['model', 'state_dict'], 'fast-reid', args.force)


if __name__ == '__main__':
    with one_line_errors():
        main()
