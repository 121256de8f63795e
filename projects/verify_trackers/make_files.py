# Copyright (c) mmreid contributors. All rights reserved.
"""Exports a model for both trackers, with mmreid's embeddings: ``make_files.py CONFIG CHECKPOINT IMAGES OUT``."""

import argparse
from pathlib import Path

import numpy as np

from mmreid.apis import ReIDInferencer, init_model
from mmreid.apis.export import export_model
from mmreid.utils.one_line_errors import one_line_errors
from mmreid.utils.setup_env import register_all_modules


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description='Make the files that verify.py compares.')
    parser.add_argument('config')
    parser.add_argument('checkpoint')
    parser.add_argument('images', type=Path, help='folder of images')
    parser.add_argument('out', type=Path, help='new folder')
    return parser.parse_args()


def main() -> None:
    """Writes boxmot.onnx with its sidecar, ultralytics.onnx and reference.npz."""
    args = parse_args()
    args.out.mkdir(parents=True)
    register_all_modules()
    model = init_model(args.config, args.checkpoint)
    for target in ('boxmot', 'ultralytics'):
        export_model(model, args.out / f'{target}.onnx', target)
    inferencer = ReIDInferencer(model, device='cpu')
    embeddings, names = inferencer.extract(args.images.resolve(), return_names=True)
    np.savez(args.out / 'reference.npz', embeddings=embeddings, names=np.array(names))


if __name__ == '__main__':
    with one_line_errors():
        main()
