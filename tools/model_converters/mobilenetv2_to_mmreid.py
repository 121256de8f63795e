# Copyright (c) mmreid contributors. All rights reserved.
"""Converts ImageNet weights of MobileNetV2: ``mobilenetv2_to_mmreid.py THEIRS OURS``."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import mmreid  # noqa: F401  lets checkpoints load
from mmreid.converters.mobilenetv2 import convert
from mmreid.converters.weight_conversion import converting, key_table, read_weights, write_conversion
from mmreid.utils.atomic_io import ensure_new
from mmreid.utils.one_line_errors import one_line_errors
from mmreid.utils.setup_env import register_all_modules


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description="Convert ImageNet weights of MobileNetV2 with torchvision's names. Also writes DST.model.py next "
        'to DST, for _base_ of a config.'
    )
    parser.add_argument('src', type=Path, help='weights to read, *.pth or *.pt')
    parser.add_argument('dst', type=Path, help='checkpoint to write')
    parser.add_argument('--force', action='store_true', help='replace files that exist')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Converts, and prints what happened to the entries."""
    args = parse_args(argv)
    beside = Path(f'{args.dst}.model.py')
    ensure_new([args.dst, beside], args.force)
    register_all_modules()
    with converting(args.src):
        found = convert(read_weights(args.src, ['state_dict']))
        write_conversion(found, args.src, args.dst, 'torchvision')
    print(key_table(found))
    print(f'wrote {args.dst} and {beside.name}')


if __name__ == '__main__':
    with one_line_errors():
        main()
