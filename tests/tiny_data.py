# Copyright (c) mmreid contributors. All rights reserved.
"""Small image trees for tests."""

from pathlib import Path

import cv2
import numpy as np


def write_image(path: Path, seed: int = 0, size: tuple[int, int] = (64, 32)) -> Path:
    """Writes a noise image whose colour depends on the seed."""
    rng = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.clip(rng.integers(0, 256, 3) + rng.normal(0, 20, (*size, 3)), 0, 255).astype(np.uint8)
    path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())
    return path


def write_market(root: Path, num_train: int = 6, num_test: int = 4, cameras: int = 2, images: int = 3) -> Path:
    """Writes a tree in the layout of Market-1501: train ids from 2, test ids from 101, one query per id and camera."""
    for folder, pids in (
        ('bounding_box_train', range(2, 2 + num_train)),
        ('bounding_box_test', range(101, 101 + num_test)),
    ):
        for pid in pids:
            for cam in range(1, cameras + 1):
                for index in range(images):
                    write_image(root / folder / f'{pid:04d}_c{cam}s1_{index * 25 + pid:06d}_00.jpg', pid)
    for pid in range(101, 101 + num_test):
        for cam in range(1, cameras + 1):
            write_image(root / 'query' / f'{pid:04d}_c{cam}s1_{900 + pid:06d}_00.jpg', pid)
    return root
