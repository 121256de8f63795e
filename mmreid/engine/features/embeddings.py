# Copyright (c) mmreid contributors. All rights reserved.
"""Extracts what the losses of a domain compare: normalized embeddings, as in testing."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from mmreid.models import DomainAdaptiveReID, UnsupervisedCrossModalReID, UnsupervisedReID
from mmreid.structures import ReIDDataSample

from .extraction import as_in_testing, extract_features


def extract_embeddings(
    model: DomainAdaptiveReID | UnsupervisedReID | UnsupervisedCrossModalReID,
    dataset,
    images: np.ndarray,
    domain: str,
    pipeline: Callable,
    batch_size: int,
    num_workers: int,
    mirror: bool = False,
) -> torch.Tensor:
    """Extracts the embeddings behind the neck, which memories keep; ranks share the work.

    Args:
        model (DomainAdaptiveReID | UnsupervisedReID | UnsupervisedCrossModalReID): The model; modes and random states
            stay as they were.
        dataset (BaseReIDDataset): The images; its own pipeline is not used.
        images (np.ndarray): Indices into it, shape (N,).
        domain (str): ``'source'`` or ``'target'``, whose norms are used.
        pipeline (Callable): The transforms of each image, as in testing.
        batch_size (int): Images per batch.
        num_workers (int): Processes that load images.
        mirror (bool): Average the embeddings of an image and its mirror image, without normalizing again. Defaults to
            False.

    Returns:
        torch.Tensor: L2-normalized embeddings, or means of two, shape (N, D), float32, the same on every rank.
    """

    def embed(inputs: torch.Tensor, data_samples: list[ReIDDataSample]) -> torch.Tensor:
        return F.normalize(model.embed(inputs, domain, data_samples).after.float(), dim=1)

    def extract(batch: dict) -> torch.Tensor:
        data = model.data_preprocessor(batch, False)
        feats = embed(**data)
        return (feats + embed(data['inputs'].flip(-1), data['data_samples'])) / 2 if mirror else feats

    with as_in_testing(model):
        return extract_features(extract, dataset, images, pipeline, batch_size, num_workers)
