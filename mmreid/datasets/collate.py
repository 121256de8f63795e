# Copyright (c) mmreid contributors. All rights reserved.
"""Makes a batch of samples, in the worker."""

from collections.abc import Sequence

import torch
from mmengine.dataset import default_collate

from mmreid.registry import FUNCTIONS
from mmreid.utils.image_size import require_one_size


@FUNCTIONS.register_module()
def reid_collate(samples: Sequence[dict]) -> dict:
    """Collates like MMEngine's ``default_collate``, and explains images that differ in size.

    Args:
        samples (Sequence[dict]): What the data set gave, with ``inputs`` and ``data_samples``.

    Returns:
        dict: ``inputs`` of shape (N, 3, H, W), ``data_samples`` as a list, all else as ``default_collate`` does.

    Raises:
        ValueError: If the images differ in size.
    """
    if isinstance(samples[0].get('inputs'), torch.Tensor):
        require_one_size(sample['inputs'] for sample in samples)
    return default_collate(samples)
