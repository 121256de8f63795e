# Copyright (c) mmreid contributors. All rights reserved.
"""Extracts what the losses of a domain compare: normalized embeddings, as in testing."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from mmreid.models import DomainAdaptiveReID, UnsupervisedReID

from .extraction import as_in_testing, extract_features


def extract_embeddings(
    model: DomainAdaptiveReID | UnsupervisedReID,
    dataset,
    images: np.ndarray,
    domain: str,
    pipeline: Callable,
    batch_size: int,
    num_workers: int,
) -> torch.Tensor:
    """Extracts the embeddings behind the neck, which memories keep; ranks share the work.

    Args:
        model (DomainAdaptiveReID | UnsupervisedReID): The model; modes and random states stay as they were.
        dataset (BaseReIDDataset): The images; its own pipeline is not used.
        images (np.ndarray): Indices into it, shape (N,).
        domain (str): ``'source'`` or ``'target'``, whose norms are used.
        pipeline (Callable): The transforms of each image, as in testing.
        batch_size (int): Images per batch.
        num_workers (int): Processes that load images.

    Returns:
        torch.Tensor: L2-normalized embeddings, shape (N, D), float32, the same on every rank.
    """

    def extract(batch: dict) -> torch.Tensor:
        inputs = model.data_preprocessor(batch, False)['inputs']
        return F.normalize(model.embed(inputs, domain).after.float(), dim=1)

    with as_in_testing(model):
        return extract_features(extract, dataset, images, pipeline, batch_size, num_workers)
