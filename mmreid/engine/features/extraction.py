# Copyright (c) mmreid contributors. All rights reserved.
"""Extracts features of training images as in testing; ranks share the work."""

import copy
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from mmengine.dataset import Compose
from mmengine.dist import all_gather, get_dist_info
from torch import nn
from torch.utils.data import DataLoader, Subset

from mmreid.datasets.collate import reid_collate
from mmreid.datasets.samplers import DomainView
from mmreid.registry import TRANSFORMS
from mmreid.utils.seed import epoch_worker_init_fn


@contextmanager
def as_in_testing(model: nn.Module) -> Iterator[None]:
    """Puts a model into eval mode without gradients; restores modes and random states afterwards."""
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


def extract_features(
    extract: Callable[[dict[str, Any]], torch.Tensor],
    dataset,
    images: np.ndarray,
    pipeline: Callable,
    batch_size: int,
    num_workers: int = 0,
    dtype: torch.dtype | None = None,
) -> torch.Tensor:
    """Extracts features of some images of a data set; ranks share the work.

    Ranks take whole batches in turn, so that the features do not depend on the number of ranks.

    Args:
        extract (Callable[[dict], torch.Tensor]): Turns a collated batch (``inputs``, ``data_samples``) into features
            (N, ...).
        dataset (BaseReIDDataset | DomainView): The training set; its own pipeline is not used.
        images (np.ndarray): Indices into it, shape (N,).
        pipeline (Callable): The transforms of each image, as in testing.
        batch_size (int): Images per batch.
        num_workers (int): Processes that load images. Defaults to 0.
        dtype (torch.dtype, optional): Type to keep features in. Defaults to None: the type that ``extract`` returns.

    Returns:
        torch.Tensor: Features, shape (N, ...), the same on every rank.
    """
    if isinstance(dataset, DomainView):
        dataset, images = dataset.dataset, dataset.indices[images]
    view = copy.copy(dataset)
    view.pipeline = pipeline
    rank, size = get_dist_info()
    batches = [list(range(start, min(start + batch_size, len(images)))) for start in range(0, len(images), batch_size)]
    # A rank without a batch of its own takes the first, so that it knows the shape of a feature.
    mine = batches[rank::size] or batches[:1]
    loader = DataLoader(
        Subset(view, images.tolist()),
        batch_sampler=mine,
        num_workers=num_workers,
        collate_fn=reid_collate,
        worker_init_fn=epoch_worker_init_fn,
    )
    feats = [part if dtype is None else part.to(dtype) for part in map(extract, loader)]
    return gather_rows(torch.cat(feats), batches)


def gather_rows(mine: torch.Tensor, parts: Sequence[Sequence[int]]) -> torch.Tensor:
    """Joins rows that the ranks have computed in turn.

    Args:
        mine (torch.Tensor): Rows of ``parts[rank::world_size]``, one part after the other; further rows are ignored.
        parts (Sequence[Sequence[int]]): Positions of the rows of each part.

    Returns:
        torch.Tensor: All rows in their positions, on every rank.
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


def testing_pipeline(steps: list[dict] | None, cfg: dict, asker: str) -> Compose:
    """Builds the test pipeline from ``steps``, or from the first validation or test set of ``cfg``.

    Raises a ValueError that names the hook (``asker``) if there is none.
    """
    steps = steps or _pipeline_of_test_set(cfg, asker)
    return Compose([TRANSFORMS.build(step) if isinstance(step, dict) else step for step in steps])


def _pipeline_of_test_set(cfg: dict, asker: str) -> list[dict]:
    for section in ('val_dataloader', 'test_dataloader'):
        loader = cfg.get(section)
        dataset = (loader[0] if isinstance(loader, (list, tuple)) and loader else loader or {}).get('dataset')
        while isinstance(dataset, dict) and not dataset.get('pipeline') and dataset.get('dataset'):
            dataset = dataset['dataset']
        if isinstance(dataset, dict) and dataset.get('pipeline'):
            return dataset['pipeline']
    raise ValueError(
        f'{asker} found no pipeline in val_dataloader or test_dataloader to prepare images with; give it one: '
        f"dict(type='{asker}', pipeline=[...])"
    )
