# Copyright (c) mmreid contributors. All rights reserved.
"""Where the hooks around an exemplar memory find what they work on."""

import numpy as np
import torch
from mmengine.model import is_model_wrapper
from torch import nn

from mmreid.models.memories import ExemplarMemory, GraphPositivePrediction


def unwrapped(model: nn.Module) -> nn.Module:
    """Takes a model out of its distributed wrapper, if it has one."""
    return model.module if is_model_wrapper(model) else model


def target_memory(model: nn.Module) -> ExemplarMemory | None:
    """Gives the memory of the target images; None where there is none, or the batch stands in for it."""
    memory = getattr(getattr(unwrapped(model), 'head', None), 'memory', None)
    return memory if isinstance(memory, ExemplarMemory) else None


def learned_neighbors(model: nn.Module) -> GraphPositivePrediction | None:
    """Gives what predicts neighbors and has the memory of the source images; None where nothing is learned."""
    neighbors = getattr(getattr(unwrapped(model), 'head', None), 'neighbors', None)
    return neighbors if isinstance(neighbors, GraphPositivePrediction) else None


def device_of(model: nn.Module) -> torch.device:
    """Tells where a model is."""
    return next(model.parameters()).device


def count_target(dataset) -> int:
    """Counts the target images of a training set.

    Args:
        dataset (Dataset): The training set.

    Returns:
        int: How many slots a memory needs.

    Raises:
        TypeError: If it has no target images.
    """
    count = getattr(dataset, 'num_target', None)
    if count is None:
        raise TypeError(
            f'an exemplar memory needs to know the target images, but {type(dataset).__name__} has none; use '
            "dict(type='SourceTargetDataset', datasets=[source, target])"
        )
    return count


def images_of(dataset, domain: str) -> np.ndarray:
    """Lists the images that the slots of a memory belong to, in the order of the slots.

    Args:
        dataset (SourceTargetDataset): The training set; its source images come first.
        domain (str): ``'source'`` or ``'target'``.

    Returns:
        np.ndarray: Indices into the data set, shape (S,).
    """
    count_target(dataset)  # says what is wrong with another data set
    return np.flatnonzero((dataset.domains == dataset.target_domain) == (domain == 'target'))


def labels_of(dataset, domain: str) -> torch.Tensor:
    """Reads the identities that the slots of a memory belong to; see :func:`images_of`.

    Returns:
        torch.Tensor: Shape (S,), int64.
    """
    return torch.from_numpy(dataset.gt_labels[images_of(dataset, domain)])
