# Copyright (c) mmreid contributors. All rights reserved.
"""What pseudo labels are made for: the memory, the images without labels, and the samplers that draw them."""

import numpy as np

from mmreid.datasets import SourceTargetDataset
from mmreid.datasets.samplers import DomainView, PseudoLabelSampler, samplers_of
from mmreid.models import ContrastHead, ContrastMemory, DomainAdaptiveReID, UnsupervisedReID
from mmreid.utils.unwrap_model import unwrap_model


def contrast_memory(runner) -> ContrastMemory:
    """Returns the memory of the model; raises a TypeError if it has none that takes pseudo labels."""
    model = unwrap_model(runner.model)
    if not isinstance(model, (UnsupervisedReID, DomainAdaptiveReID)) or not isinstance(model.head, ContrastHead):
        raise TypeError(
            f'PseudoLabelHook found a {type(model).__name__} with a {type(model.head).__name__}, which takes no pseudo '
            "labels; use an UnsupervisedReID or DomainAdaptiveReID with head=dict(type='ContrastHead', ...)"
        )
    return model.head.memory


def unlabeled_images(dataset) -> np.ndarray:
    """Returns the indices of the images without labels, (T,)."""
    return dataset.images_of('target') if isinstance(dataset, SourceTargetDataset) else np.arange(len(dataset))


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
