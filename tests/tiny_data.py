# Copyright (c) mmreid contributors. All rights reserved.
"""Small image trees for tests."""

import shutil
from pathlib import Path

import cv2
import numpy as np

from mmreid.registry import DATASETS


def write_image(path: Path, seed: int = 0, size: tuple[int, int] = (64, 32)) -> Path:
    """Writes a noise image whose color depends on the seed."""
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


def repaint(root: Path) -> Path:
    """Gives each image of a tree a color of its own, so that a search finds some people and misses others."""
    for seed, path in enumerate(sorted(root.rglob('*.jpg')), start=1000):
        write_image(path, seed)
    return root


def write_clonedperson(root: Path, num_train: int = 6, images: int = 4) -> Path:
    """Writes the training folder of ClonedPerson."""
    for pid in range(num_train):
        for index in range(images):
            write_image(root / 'train' / f'{700000 + pid}_s02_c{index % 2:02d}_f{index:06d}.jpg', pid)
    return root


def write_own(root: Path, num_train: int = 6, num_test: int = 4) -> Path:
    """Writes own images in folders, split/identity/camera, and a CSV file that lists them."""
    rows = ['img_path,pid,camid,split']
    for split, names, images in (
        ('train', [f'worker{i}' for i in range(num_train)], 3),
        ('query', [f'visitor{i}' for i in range(num_test)], 1),
        ('gallery', [f'visitor{i}' for i in range(num_test)], 3),
    ):
        for pid, name in enumerate(names):
            for camera in ('door', 'till'):
                for index in range(images):
                    path = Path(split, name, camera, f'{index}.jpg')
                    write_image(root / path, pid if split == 'train' else 100 + pid)
                    rows.append(f'{path.as_posix()},{name},{camera},{split}')
    (root / 'labels.csv').write_text('\n'.join(rows))
    return root


def write_styles(dataset: dict, folder: Path | None = None, own: bool = True) -> None:
    """Writes camera-style images of a training set: copies of the real ones under the published names.

    Args:
        dataset (dict): Config of the data set.
        folder (Path, optional): Where to. Defaults to the sibling of the real images' folder.
        own (bool): Whether names tell the camera of the image too: ``_fake_1to2`` or ``_fake_2``.
    """
    records = [built.get_data_info(i) for built in [DATASETS.build(dataset)] for i in range(len(built))]
    cameras = {record['camid'] for record in records}
    for record in records:
        path = Path(record['img_path'])
        for style in cameras - {record['camid']}:
            number = f'{record["camid"] + 1}to{style + 1}' if own else f'{style + 1}'
            copy = (folder or Path(f'{path.parent}_camstyle')) / f'{path.stem}_fake_{number}{path.suffix}'
            copy.parent.mkdir(exist_ok=True)
            shutil.copy(path, copy)
