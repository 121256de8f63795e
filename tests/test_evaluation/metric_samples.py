# Copyright (c) mmreid contributors. All rights reserved.
"""Feeds metrics without a network: images whose features are numbers that a matrix is looked up with."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from mmreid.evaluation import FeatureMetric

GOLDEN = Path(__file__).parents[1] / 'data' / 'golden'


def golden(name: str) -> dict[str, np.ndarray]:
    """Reads a file of reference outputs."""
    with np.load(GOLDEN / f'{name}.npz') as file:
        return {key: file[key] for key in file.files}


def images(pids, camids, split: str, modality: str | None = None, start: int = 0) -> list[dict]:
    """Makes the samples of a side; an image's feature is its number on this side."""
    return [
        dict(
            pid=int(pid),
            camid=int(camid),
            split=split,
            modality=modality,
            sample_idx=start + i,
            img_path=f'{split}/{i}.jpg',
            feature=torch.tensor([float(i)]),
        )
        for i, (pid, camid) in enumerate(zip(pids, camids, strict=True))
    ]


def evaluate(metric: FeatureMetric, samples: Sequence[dict], distances: np.ndarray) -> dict[str, float]:
    """Runs a metric on samples of :func:`images` and the distances between them; the order of samples is mixed."""
    matrix = -torch.from_numpy(distances)
    metric.matcher = lambda query, gallery: matrix[query[:, 0].long()][:, gallery[:, 0].long()]
    for i in np.random.default_rng(0).permutation(len(samples)):
        metric.process(None, [samples[i]])
    return metric.evaluate(len(samples))
