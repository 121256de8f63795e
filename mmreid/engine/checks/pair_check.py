# Copyright (c) mmreid contributors. All rights reserved.
"""Finds, before training, metric losses that no batch has pairs for."""

from typing import Any

from mmengine.dist import get_world_size
from torch import nn

from mmreid.datasets.samplers import CMNASReferenceSampler, IdentityBatchSampler, MultiDomainBatchSampler
from mmreid.models.heads import BaseHead
from mmreid.models.losses import PairLoss


def no_pairs_sentence(model: nn.Module, batch_sampler: Any) -> str:
    """Explains why the pair losses of a model would be zero in every batch; '' if they are not, or it is unknown.

    Only batches with a fixed number of images of each identity are checked.
    """
    losses = sorted({type(module).__name__ for module in model.modules() if isinstance(module, PairLoss)})
    mixed = isinstance(batch_sampler, MultiDomainBatchSampler)
    parts = [part.batch_sampler for part in batch_sampler.parts] if mixed else [batch_sampler]
    shapes = [shape for shape in map(_shape, parts) if shape]
    if not losses or not shapes:
        return ''
    identities, images = sum(shape[0] for shape in shapes), max(shape[1] for shape in shapes)
    gathers = any(module.gather for module in model.modules() if isinstance(module, (PairLoss, BaseHead)))
    if images == 1:
        lacking, remedy = 'two images of one identity', 'raise num_instances to 2 or more'
    elif identities * (get_world_size() if gathers else 1) == 1:
        lacking = 'images of two identities'
        remedy = f'raise train_dataloader.batch_size to {2 * images} or more, or lower num_instances'
    else:
        return ''
    return (
        f'each batch holds P x K = {identities} x {images} images (identities x images of each), so none of the '
        f'{len(batch_sampler)} batches of an epoch has {lacking}, and {", ".join(losses)} is always 0: {remedy}, or '
        'take the loss out'
    )


def _shape(batches: Any) -> tuple[int, int] | None:
    """Returns how many identities a batch of this rank has, and how many images of each; None if that varies."""
    if isinstance(batches, IdentityBatchSampler):
        return batches.classes_per_batch, batches.instance_sampler.images_per_class
    if isinstance(batches, CMNASReferenceSampler):
        return batches.classes_per_batch // batches.world_size, 2 * batches.num_instances
    return None
