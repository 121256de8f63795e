# Copyright (c) mmreid contributors. All rights reserved.
"""Finds the classes that a model finds alike: one image represents each, and the matcher scores all against all."""

from collections.abc import Callable

import numpy as np
import torch
from mmengine.dist import all_gather, get_dist_info
from torch import Tensor

from mmreid.datasets.samplers.image_table import ImageTable
from mmreid.evaluation.functional import FeaturePairs
from mmreid.evaluation.functional.nearest import Nearest, empty_lists, push
from mmreid.models.matchers.base import Matcher, as_matcher

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
def nearest_classes(feats: Tensor, matcher: Matcher | Callable, k: int) -> tuple[Tensor, Tensor]:
    """Finds the classes that score highest with each class; ranks share the blocks of scores.

    Where several images represent a class, the score of two classes is the mean over their pairs of images. A symmetric
    matcher scores every pair once.

    Args:
        feats (torch.Tensor): Features, shape (C, M, ...): M images of each class.
        matcher (Matcher | Callable): See :class:`~mmreid.evaluation.functional.FeatureScores`.
        k (int): Neighbors of each class, less than C.

    Returns:
        tuple[torch.Tensor, torch.Tensor]: Places of the neighbors, nearest first, ties in order of the classes, shape
        (C, k), int64; and their scores; on the CPU, the same on every rank.
    """
    matcher, (count, each) = as_matcher(matcher), feats.shape[:2]
    pairs = FeaturePairs([feats.flatten(0, 1)], matcher)
    lists = empty_lists(count, k, torch.float32, pairs.device)
    rank, size = get_dist_info()
    for start in range(0, count, CLASSES_PER_BLOCK)[rank::size]:
        block = slice(start, min(start + CLASSES_PER_BLOCK, count))
        first = block.start if matcher.symmetric else 0
        tile = pairs.tile(_images(block, each), _images(slice(first, count), each)).float()
        height = block.stop - block.start
        tile = tile.view(height, each, -1, each).mean((1, 3)) if each > 1 else tile.clone()
        tile.diagonal(block.start - first).fill_(torch.nan)  # not its own neighbor
        push(tile, first, lists.part(block))
        if matcher.symmetric:
            push(tile[:, height:].t(), block.start, lists.part(slice(block.stop, count)))
    return _merged(lists, k)


def _images(classes: slice, each: int) -> slice:
    return slice(classes.start * each, classes.stop * each)


def _merged(lists: Nearest, k: int) -> tuple[Tensor, Tensor]:
    """Joins the lists of all ranks, which found neighbors in different blocks."""
    index, score = (torch.cat(all_gather(part), dim=1).cpu() for part in (lists.index, lists.score))
    by_class = index.argsort(dim=1)
    index, score = index.gather(1, by_class), score.gather(1, by_class)
    order = score.argsort(dim=1, descending=True, stable=True)[:, :k]
    return index.gather(1, order), score.gather(1, order)
