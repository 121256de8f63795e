# Copyright (c) mmreid contributors. All rights reserved.
"""Says, before a training, that its metric losses cannot find a pair in any batch."""

from typing import Any

from mmengine.dist import get_world_size
from torch import nn

from mmreid.datasets.samplers import IdentityBatchSampler


def no_pairs_sentence(model: nn.Module, batch_sampler: Any) -> str:
    """Says why metric losses would be zero in every batch.

    Args:
        model (nn.Module): Its losses that compare images with each other declare ``needs_pairs = True``.
        batch_sampler (Any): What makes the batches; judged are those of a fixed number of images of each identity.

    Returns:
        str: A sentence with counts; '' if there are pairs, or that cannot be told.
    """
    losses = sorted({type(module).__name__ for module in model.modules() if getattr(module, 'needs_pairs', False)})
    parts = [part.batch_sampler for part in getattr(batch_sampler, 'parts', ())] or [batch_sampler]
    parts = [part for part in parts if isinstance(part, IdentityBatchSampler)]
    if not losses or not parts:
        return ''
    identities = sum(part.classes_per_batch for part in parts)
    images = max(part.instance_sampler.images_per_class for part in parts)
    gathers = any(getattr(module, 'gather', False) for module in model.modules())
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
