# Copyright (c) mmreid contributors. All rights reserved.
"""Gives embeddings to MMEngine's visualization backends, each in its own form."""

from functools import singledispatch
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.visualization import BaseVisBackend, LocalVisBackend, TensorboardVisBackend, WandbVisBackend

from mmreid.datasets.transforms.loading import CorruptImageError, read_image
from mmreid.utils.atomic_io import atomic_write

from .embeddings import Embeddings

SIDE = 48  # pixels of an image in the projector
GRAY = 190


@singledispatch
def send_embeddings(backend: BaseVisBackend, name: str, embeddings: Embeddings, step: int, images: bool = True) -> None:
    """Gives embeddings to a backend; one that has no form for them gets none.

    Args:
        backend (BaseVisBackend): The backend: ``LocalVisBackend`` (a file ``embeddings/<name>_<step>.npz`` beside its
            images), ``TensorboardVisBackend`` (its projector) or ``WandbVisBackend`` (a table, also offline).
        name (str): Name, such as that of the test set.
        embeddings (Embeddings): The embeddings.
        step (int): Epoch.
        images (bool): Also give small images to TensorBoard. Defaults to True.
    """


@send_embeddings.register
def _(backend: LocalVisBackend, name: str, embeddings: Embeddings, step: int, images: bool = True) -> None:
    folder = Path(backend._save_dir) / 'embeddings'
    folder.mkdir(parents=True, exist_ok=True)
    content = dict(names=np.array(embeddings.img_path), features=embeddings.feature.numpy())
    content |= {label: np.array(values) for label, values in embeddings.labels.items()}
    atomic_write(folder / f'{name.replace("/", "_")}_{step}.npz', lambda file: np.savez(file, **content))


@send_embeddings.register
def _(backend: TensorboardVisBackend, name: str, embeddings: Embeddings, step: int, images: bool = True) -> None:
    header = list(embeddings.labels)
    rows = [[' '.join(value.split()) for value in row] for row in zip(*embeddings.labels.values(), strict=True)]
    shown = torch.stack([_square(path) for path in embeddings.img_path]) if images else None
    backend.experiment.add_embedding(embeddings.feature, rows, shown, step, name, metadata_header=header)


@send_embeddings.register
def _(backend: WandbVisBackend, name: str, embeddings: Embeddings, step: int, images: bool = True) -> None:
    wandb = backend.experiment
    header = [*embeddings.labels, 'image', *(f'f{number}' for number in range(embeddings.feature.shape[1]))]
    rows = [
        [*labels, path, *vector]
        for labels, path, vector in zip(
            zip(*embeddings.labels.values(), strict=True),
            embeddings.img_path,
            embeddings.feature.tolist(),
            strict=True,
        )
    ]
    wandb.log({f'embeddings/{name}': wandb.Table(columns=header, data=rows)})


def _square(path: str) -> torch.Tensor:
    """Reads an image as (3, S, S), RGB, in [0, 1], with gray at its sides; gray alone if it cannot be read."""
    canvas = np.full((SIDE, SIDE, 3), GRAY, np.uint8)
    try:
        pixels = read_image(path)
    except (CorruptImageError, OSError):
        return torch.from_numpy(canvas).permute(2, 0, 1) / 255
    scale = SIDE / max(pixels.shape[:2])
    width, height = (max(1, round(side * scale)) for side in pixels.shape[1::-1])
    top, left = (SIDE - height) // 2, (SIDE - width) // 2
    canvas[top : top + height, left : left + width] = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    return torch.from_numpy(canvas[..., ::-1].copy()).permute(2, 0, 1) / 255
