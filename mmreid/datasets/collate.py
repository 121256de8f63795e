# Copyright (c) mmreid contributors. All rights reserved.
"""Makes a batch of samples, in the worker."""

from collections.abc import Sequence

import torch
from mmengine.dataset import default_collate

from mmreid.registry import FUNCTIONS
from mmreid.utils.image_size import require_one_size


@FUNCTIONS.register_module()
def reid_collate(samples: Sequence[dict]) -> dict:
    """Collates as MMEngine's ``default_collate``, and explains images of different sizes.

    Args:
        samples (Sequence[dict]): Items of the data set, with ``inputs`` and ``data_samples``.

    Returns:
        dict: ``inputs`` of shape (N, 3, H, W), ``data_samples`` as a list, everything else as in ``default_collate``.

    Raises:
        ValueError: If the images differ in size.
    """
    if isinstance(samples[0].get('inputs'), torch.Tensor):
        require_one_size(sample['inputs'] for sample in samples)
    return default_collate(samples)
