# Copyright (c) mmreid contributors. All rights reserved.
"""Exports a model for one consumer: ``export.py CONFIG CHECKPOINT OUT --target onnxruntime``."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmreid.apis import init_model
from mmreid.apis.export import export_model
from mmreid.apis.export.targets import TARGETS
from mmreid.utils.file_hash import sha256_of
from mmreid.utils.one_line_errors import one_line_errors
from mmreid.utils.setup_env import register_all_modules


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description='Export a model for one consumer. Consumers prepare images differently, so a file serves one only.'
    )
    parser.add_argument('config', help='config, or a name of list_models()')
    parser.add_argument('checkpoint', help='weights to export')
    parser.add_argument('out', type=Path, help='file to write: *.onnx, *.xml (openvino) or *.pt2 (exportedprogram)')
    parser.add_argument('--target', required=True, choices=list(TARGETS), help='what will run the file')
    parser.add_argument('--fp16', action='store_true', help='half precision inside; input and output stay float32')
    parser.add_argument('--modality', choices=['visible', 'infrared'], help='of a model of both: which one to export')
    parser.add_argument(
        '--verify', nargs='+', metavar='IMAGES', help='files, folders or globs: compare with the model, as the target '
        'prepares images; write nothing if they differ'
    )  # fmt: skip
    parser.add_argument('--force', action='store_true', help='replace files that exist')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Exports, and prints the files and the comparison."""
    args = parse_args(argv)
    register_all_modules()
    paths, checked = export_model(
        init_model(args.config, args.checkpoint),
        args.out,
        args.target,
        fp16=args.fp16,
        modality=args.modality,
        images=args.verify,
        force=args.force,
    )
    for path in paths:
        print(f'wrote {path}, SHA-256 {sha256_of(path)}')
    if checked:
        print(
            f'verified on {checked.num_images} images as {args.target} prepares them: lowest cosine '
            f'{checked.cosine:.6f} ({checked.image}), at least {checked.required} required'
        )


if __name__ == '__main__':
    with one_line_errors():
        main()
