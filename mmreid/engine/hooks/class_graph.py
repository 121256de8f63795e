# Copyright (c) mmreid contributors. All rights reserved.
"""Which classes does a model find alike: one image stands for each, and the matcher scores all against all."""

import copy
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from mmengine.dist import all_gather, get_dist_info
from mmengine.runner import autocast
from torch import nn
from torch.utils.data import DataLoader, Subset

from mmreid.datasets.collate import reid_collate
from mmreid.datasets.samplers import DomainView
from mmreid.datasets.samplers.image_table import ImageTable
from mmreid.evaluation.functional import FeatureScores
from mmreid.evaluation.functional.top_lists import top_lists
from mmreid.utils.seed import epoch_worker_init_fn

# Classes whose scores are made at a time. A constant: what is computed must not depend on the number of ranks.
CLASSES_PER_BLOCK = 64


def pick_images(dataset, classes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Picks an image for each class; where every class has images of each modality, one for each modality.

    Args:
        dataset (BaseReIDDataset | DomainView): The training set.
        classes (np.ndarray): Labels, shape (C,).
        rng (np.random.Generator): Source of the choice.

    Returns:
        np.ndarray: Indices into the data set, shape (C, M), M the number of modalities or 1.
    """
    labels = np.asarray(dataset.gt_labels)
    present, modality = np.unique(getattr(dataset, 'modalities', np.zeros(len(labels))), return_inverse=True)
    num_labels = int(labels.max()) + 1
    table = ImageTable(labels * len(present) + modality, num_labels * len(present))
    if not table.counts.reshape(num_labels, -1)[classes].all():
        present, table = present[:1], ImageTable(labels, num_labels)
    groups = classes[:, None] * len(present) + np.arange(len(present))
    chosen = (rng.random(groups.shape) * table.counts[groups]).astype(np.int64)
    return table.members[table.starts[groups] + chosen]


@contextmanager
def as_in_testing(model: nn.Module) -> Iterator[None]:
    """Puts a model into eval mode without gradients; afterwards modes and random states are what they were."""
    modes = [(module, module.training) for module in model.modules()]
    states = random.getstate(), np.random.get_state()
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    model.eval()
    try:
        with torch.random.fork_rng(devices), torch.no_grad():
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        for module, mode in modes:
            module.training = mode


def extract_images(
    model: nn.Module,
    dataset,
    images: np.ndarray,
    pipeline: Callable,
    batch_size: int,
    num_workers: int = 0,
    fp16: bool = False,
    dtype: torch.dtype | None = None,
) -> torch.Tensor:
    """Extracts features of some images of a data set; ranks share the work.

    Whole batches go to the ranks in turn, so that the features do not depend on how many there are.

    Args:
        model (nn.Module): The model, not wrapped, in eval mode.
        dataset (BaseReIDDataset | DomainView): The training set; its own pipeline is not used.
        images (np.ndarray): Indices into it, shape (N,).
        pipeline (Callable): What is done to each image, as in testing.
        batch_size (int): Images of a batch.
        num_workers (int): Processes that load images. Defaults to 0.
        fp16 (bool): Extract under autocast. Defaults to False.
        dtype (torch.dtype, optional): Type to keep features in. Defaults to None: the model's.

    Returns:
        torch.Tensor: Features, shape (N, ...), the same on every rank.
    """
    if isinstance(dataset, DomainView):
        dataset, images = dataset.dataset, dataset.indices[images]
    view = copy.copy(dataset)
    view.pipeline = pipeline
    rank, size = get_dist_info()
    batches = [list(range(start, min(start + batch_size, len(images)))) for start in range(0, len(images), batch_size)]
    # The first batch is everybody's, so that each rank knows what a feature looks like.
    mine = batches[rank::size] or batches[:1]
    loader = DataLoader(
        Subset(view, images.tolist()),
        batch_sampler=mine,
        num_workers=num_workers,
        collate_fn=reid_collate,
        worker_init_fn=epoch_worker_init_fn,
    )
    feats = []
    for batch in loader:
        data = model.data_preprocessor(batch, False)
        with autocast(enabled=fp16):
            part = model.extract_feat(**data)
        feats.append(part if dtype is None else part.to(dtype))
    return gather_rows(torch.cat(feats), batches)


def gather_rows(mine: torch.Tensor, parts: Sequence[Sequence[int]]) -> torch.Tensor:
    """Puts rows together of which the ranks have computed parts in turn.

    Args:
        mine (torch.Tensor): Rows of ``parts[rank::world_size]``, one part after the other; further rows are ignored.
        parts (Sequence[Sequence[int]]): Places of the rows of each part.

    Returns:
        torch.Tensor: All rows in their places, on every rank.
    """
    size = get_dist_info()[1]
    places = [[place for part in parts[rank::size] for place in part] for rank in range(size)]
    if size == 1:
        return mine  # the parts are in order
    longest = max(map(len, places))
    mine = mine[:longest]
    padded = torch.cat([mine, mine.new_zeros(longest - len(mine), *mine.shape[1:])])
    rows = mine.new_empty(sum(map(len, parts)), *mine.shape[1:])
    for own, values in zip(places, all_gather(padded), strict=True):
        rows[own] = values[: len(own)]
    return rows


@torch.no_grad()
def nearest_classes(feats: torch.Tensor, matcher: Callable, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Finds the classes that score highest with each class; ranks share the rows.

    Where several images stand for a class, the score of two classes is the mean over their pairs of images.

    Args:
        feats (torch.Tensor): Features, shape (C, M, ...): M images of each class.
        matcher (Callable): As :class:`~mmreid.evaluation.functional.FeatureScores` takes it.
        k (int): Neighbors of each class, less than C.

    Returns:
        tuple[torch.Tensor, torch.Tensor]: Places of the neighbors, nearest first, equal scores in order of the
        classes, shape (C, k), int64; and their scores; on the CPU, the same on every rank.
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
        rows[torch.arange(len(block)), torch.arange(block.start, block.stop)] = torch.nan  # left out of its own list
        found.append(top_lists(rows, k))
    neighbors, values = (torch.cat(part) for part in zip(*found, strict=True))
    return gather_rows(neighbors, blocks), gather_rows(values, blocks)
