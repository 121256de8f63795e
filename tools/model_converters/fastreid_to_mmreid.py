# Copyright (c) mmreid contributors. All rights reserved.
"""Converts weights of fast-reid's BoT, AGW and SBS with a ResNet: ``fastreid_to_mmreid.py THEIRS OURS``."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import mmreid  # noqa: F401  lets checkpoints load
from mmreid.converters.fastreid import POOLS, STEM_POOLS, convert
from mmreid.converters.weight_conversion import converting, key_table, read_weights, write_conversion
from mmreid.utils.atomic_io import ensure_new
from mmreid.utils.one_line_errors import one_line_errors
from mmreid.utils.setup_env import register_all_modules


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
    beside = Path(f'{args.dst}.model.py')
    ensure_new([args.dst, beside], args.force)
    register_all_modules()
    with converting(args.src):
        found = convert(read_weights(args.src, ['model', 'state_dict']), args.last_stride, args.stem_pool, args.pool)
        write_conversion(found, args.src, args.dst, 'fast-reid')
    print(key_table(found))
    print(f'wrote {args.dst} and {beside.name}')


if __name__ == '__main__':
    with one_line_errors():
        main()
