# Copyright (c) mmreid contributors. All rights reserved.
"""Makes a batch of samples, in the worker."""

from collections.abc import Sequence
from itertools import zip_longest

import torch
from mmengine.dataset import default_collate

from mmreid.registry import FUNCTIONS
from mmreid.utils.image_size import require_one_size


@FUNCTIONS.register_module()
def reid_collate(samples: Sequence[dict] | Sequence[list[dict]]) -> dict:
    """Collates as MMEngine's ``default_collate``, and explains images of different sizes.

    Args:
        samples (Sequence[dict] | Sequence[list[dict]]): Items of the data set, with ``inputs`` and ``data_samples``;
            or lists of them, the views of an item: all first views come first in the batch, then all second ones.

    Returns:
        dict: ``inputs`` of shape (N, 3, H, W), ``data_samples`` as a list, everything else as in ``default_collate``.

    Raises:
        ValueError: If the images differ in size.
    """
    if isinstance(samples[0], list):
        samples = [view for rank in zip_longest(*samples) for view in rank if view is not None]
    if isinstance(samples[0].get('inputs'), torch.Tensor):
        require_one_size(sample['inputs'] for sample in samples)
        if len({sample['inputs'].dtype for sample in samples}) > 1:  # some were augmented in floats
            samples = [dict(sample, inputs=sample['inputs'].float()) for sample in samples]
    return default_collate(samples)
