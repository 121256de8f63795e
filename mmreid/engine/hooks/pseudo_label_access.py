# Copyright (c) mmreid contributors. All rights reserved.
"""What pseudo labels are made for: the memory, the images without labels, and the samplers that draw them."""

import numpy as np

from mmreid.datasets import SourceTargetDataset
from mmreid.datasets.samplers import DomainView, PseudoLabelSampler, samplers_of
from mmreid.models import (
    ClusterMemory,
    ContrastHead,
    ContrastMemory,
    DomainAdaptiveReID,
    UnsupervisedCrossModalReID,
    UnsupervisedReID,
)
from mmreid.structures import MODALITIES
from mmreid.utils.unwrap_model import unwrap_model

MODELS_WITHOUT_LABELS = (UnsupervisedReID, UnsupervisedCrossModalReID, DomainAdaptiveReID)


def contrast_memory(runner) -> ContrastMemory:
    """Returns the memory of the model; raises a TypeError if it has none that takes pseudo labels."""
    model = unwrap_model(runner.model)
    if not isinstance(model, MODELS_WITHOUT_LABELS) or not isinstance(model.head, ContrastHead):
        raise TypeError(
            f'PseudoLabelHook found a {type(model).__name__} with a {type(model.head).__name__}, which takes no pseudo '
            'labels; use an UnsupervisedReID, UnsupervisedCrossModalReID or DomainAdaptiveReID with '
            "head=dict(type='ContrastHead', ...)"
        )
    memory = model.head.memory
    if isinstance(model, UnsupervisedCrossModalReID) and not isinstance(memory, ClusterMemory):
        raise TypeError(
            f'a {type(memory).__name__} does not keep two modalities apart, as UnsupervisedCrossModalReID needs; use '
            "memory=dict(type='ClusterMemory')"
        )
    return memory


def unlabeled_images(dataset) -> np.ndarray:
    """Returns the indices of the images without labels, (T,)."""
    return dataset.images_of('target') if isinstance(dataset, SourceTargetDataset) else np.arange(len(dataset))


def image_groups(runner) -> dict[str, np.ndarray]:
    """Tells which images without labels are grouped together: all, or those of each modality.

    Returns:
        dict[str, np.ndarray]: Places among :func:`unlabeled_images`, by the name of the group: ``'target'``, or
        ``'visible'`` and ``'infrared'``.

    Raises:
        ValueError: If a modality has no image, or an image has none.
    """
    dataset = runner.train_dataloader.dataset
    images = unlabeled_images(dataset)
    if not isinstance(unwrap_model(runner.model), UnsupervisedCrossModalReID):
        return dict(target=np.arange(len(images)))
    modalities = np.asarray(dataset.modalities)[images]
    groups = {modality: np.flatnonzero(modalities == modality) for modality in MODALITIES}
    counts = {modality: len(places) for modality, places in groups.items()}
    if not all(counts.values()) or sum(counts.values()) < len(images):
        raise ValueError(
            f'the training set has {counts["visible"]} visible and {counts["infrared"]} infrared images among '
            f'{len(images)}, but UnsupervisedCrossModalReID needs both and no others; use a visible-infrared data set, '
            'or UnsupervisedReID'
        )
    return groups


def label_samplers(runner) -> list[tuple[PseudoLabelSampler, np.ndarray]]:
    """Finds the samplers of unlabeled images, and which of these each draws from."""
    unlabeled, found = unlabeled_images(runner.train_dataloader.dataset), []
    for sampler in samplers_of(runner.train_dataloader):
        if isinstance(sampler, PseudoLabelSampler):
            whole = np.arange(len(sampler.dataset))
            images = sampler.dataset.indices if isinstance(sampler.dataset, DomainView) else whole
            own = np.isin(images, unlabeled)
            if own.all():
                found.append((sampler, np.searchsorted(unlabeled, images)))
            elif own.any():
                raise ValueError(
                    f'{type(sampler).__name__} draws labeled and unlabeled images as one; give the source and the '
                    'target a part of the batch each: parts=[dict(domain=0, ...), dict(domain=1, ...)]'
                )
    if not found:
        raise ValueError(
            'PseudoLabelHook found no batch sampler that follows pseudo labels of the unlabeled images; use '
            "batch_sampler=dict(type='MultiGalleryBatchSampler', ...)"
        )
    return found
