# Copyright (c) mmreid contributors. All rights reserved.
"""Runs the ReID classes of boxmot and ultralytics on exported files: ``verify.py FOLDER`` of make_files.py.

Both are AGPL-3.0, so they are no dependency of mmreid: this script needs an environment of its own, see README.md, in
which mmreid is not installed.
"""

import argparse
import importlib.metadata
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

#: Least cosine to mmreid's embedding.
REQUIRED = dict(boxmot=0.9999, ultralytics=0.999)


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition(':')[0])
    parser.add_argument('folder', type=Path, help='what make_files.py has written')
    return parser.parse_args()


def embed_boxmot(file: Path, images: list[np.ndarray]) -> np.ndarray:
    """Embeds images with boxmot: each is a frame whose only box is the whole image."""
    from boxmot.reid.core.runtime import ReID

    encoder = ReID(file, device='cpu')
    boxes = [np.array([[0, 0, image.shape[1], image.shape[0]]], np.float32) for image in images]
    return np.concatenate([encoder(image, box) for image, box in zip(images, boxes, strict=True)])


def embed_ultralytics(file: Path, images: list[np.ndarray]) -> np.ndarray:
    """Embeds images with ultralytics: each is a frame whose only box (center, size) is the whole image."""
    from ultralytics.trackers.utils.reid import ReID

    encoder = ReID(str(file), device='cpu')
    boxes = [
        np.array([[image.shape[1] / 2, image.shape[0] / 2, image.shape[1], image.shape[0]]], np.float32)
        for image in images
    ]
    return np.concatenate([encoder(image, box) for image, box in zip(images, boxes, strict=True)])


def lowest_cosine(found: np.ndarray, wanted: np.ndarray) -> float:
    """Compares embeddings (N, D) row by row."""
    found, wanted = (
        array.astype(np.float64) / np.linalg.norm(array.astype(np.float64), axis=1, keepdims=True)
        for array in (found.reshape(len(wanted), -1), wanted)
    )
    return float((found * wanted).sum(1).min())


def main() -> int:
    """Prints a row for each consumer and file; returns 1 if a right file fails or a wrong one passes."""
    args = parse_args()
    with np.load(args.folder / 'reference.npz', allow_pickle=False) as reference:  # noqa: TID251  no pickle
        wanted, names = reference['embeddings'], reference['names'].tolist()
    images = [cv2.imread(name) for name in names]
    files = {target: args.folder / f'{target}.onnx' for target in REQUIRED}
    consumers: dict[str, Callable] = dict(boxmot=embed_boxmot, ultralytics=embed_ultralytics)
    is_good = True
    print('| consumer | version | file made for | images | lowest cosine | required | result |')
    print('| --- | --- | --- | --- | --- | --- | --- |')
    for consumer, embed in consumers.items():
        for target, file in files.items():
            cosine = lowest_cosine(embed(file, images), wanted)
            passes = cosine >= REQUIRED[consumer]
            is_good &= passes == (target == consumer)
            result = 'passes' if passes else 'fails, as it must' if target != consumer else 'FAILS'
            cells = (
                consumer,
                importlib.metadata.version(consumer),
                target,
                len(images),
                f'{cosine:.6f}',
                REQUIRED[consumer],
                result,
            )
            print(f'| {" | ".join(str(cell) for cell in cells)} |')
    return 0 if is_good else 1


if __name__ == '__main__':
    sys.exit(main())
