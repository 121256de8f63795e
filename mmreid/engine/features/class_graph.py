# Copyright (c) mmreid contributors. All rights reserved.
"""Finds the classes that a model finds alike: one image represents each, and the matcher scores all against all."""

from collections.abc import Callable

import numpy as np
import torch
from mmengine.dist import get_dist_info

from mmreid.datasets.samplers.image_table import ImageTable
from mmreid.evaluation.functional import FeatureScores
from mmreid.evaluation.functional.top_lists import top_lists

from .extraction import gather_rows

# Classes that are scored at a time. A constant, because results must not depend on the number of ranks.
CLASSES_PER_BLOCK = 64


def pick_images(dataset, classes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Picks an image of each class, or one of each modality where every class has images of all modalities.

    Returns indices into the data set, shape (C, M), M the number of modalities or 1.

    Args:
        dataset (BaseReIDDataset | DomainView): The training set.
        classes (np.ndarray): Labels, shape (C,).
        rng (np.random.Generator): Makes the choice.
    """
    labels = np.asarray(dataset.gt_labels)
    present, modality = np.unique(dataset.modalities, return_inverse=True)
    num_labels = int(labels.max()) + 1
    table = ImageTable(labels * len(present) + modality, num_labels * len(present))
    if not table.counts.reshape(num_labels, -1)[classes].all():
        present, table = present[:1], ImageTable(labels, num_labels)
    groups = classes[:, None] * len(present) + np.arange(len(present))
    chosen = (rng.random(groups.shape) * table.counts[groups]).astype(np.int64)
    return table.members[table.starts[groups] + chosen]


@torch.no_grad()
def nearest_classes(feats: torch.Tensor, matcher: Callable, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Finds the classes that score highest with each class; ranks share the rows.

    Where several images represent a class, the score of two classes is the mean over their pairs of images.

    Args:
        feats (torch.Tensor): Features, shape (C, M, ...): M images of each class.
        matcher (Callable): See :class:`~mmreid.evaluation.functional.FeatureScores`.
        k (int): Neighbors of each class, less than C.

    Returns:
        tuple[torch.Tensor, torch.Tensor]: Places of the neighbors, nearest first, ties in order of the classes, shape
        (C, k), int64; and their scores; on the CPU, the same on every rank.
    """
    count, each = feats.shape[:2]
    images = feats.flatten(0, 1)
    scores = FeatureScores(images, images, matcher)
    rank, size = get_dist_info()
    blocks = [range(start, min(start + CLASSES_PER_BLOCK, count)) for start in range(0, count, CLASSES_PER_BLOCK)]
    found = []
    for block in blocks[rank::size] or blocks[:1]:
        rows = scores.rows(slice(block.start * each, block.stop * each)).float()
        rows = rows.view(len(block), each, count, each).mean((1, 3)) if each > 1 else rows.clone()
        rows.diagonal(block.start).fill_(torch.nan)  # not its own neighbor
        found.append(top_lists(rows, k))
    neighbors, values = (torch.cat(part).cpu() for part in zip(*found, strict=True))
    return gather_rows(neighbors, blocks), gather_rows(values, blocks)
