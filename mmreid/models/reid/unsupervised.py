# Copyright (c) mmreid contributors. All rights reserved.
"""Fully unsupervised re-ID: images without labels, which a memory compares with pseudo labels."""

import torch

from mmreid.models.necks import NeckFeatures
from mmreid.registry import MODELS
from mmreid.structures import ReIDDataSample, stack_field

from .image import ImageReID


@MODELS.register_module()
class UnsupervisedReID(ImageReID):
    """Learns from images alone; the labels of the data set are not read.

    Args:
        backbone (dict): See :class:`ImageReID`.
        neck (dict): See :class:`ImageReID`.
        head (dict): Config of a :class:`ContrastHead`.
        **kwargs: See :class:`ImageReID`.
    """

    #: DistributedDataParallel must not broadcast the memory: its labels lie in main memory, and its size is not known.
    _ddp_params_and_buffers_to_ignore = ('head.memory.features', 'head.memory.labels')

    def loss(self, inputs: torch.Tensor, data_samples: list[ReIDDataSample]) -> dict[str, torch.Tensor]:
        """Compares the images of a batch with the memory."""
        return self.head.target_loss(self._features(inputs).after, stack_field(data_samples, 'sample_idx'))

    def embed(
        self, inputs: torch.Tensor, domain: str = 'target', data_samples: list[ReIDDataSample] | None = None
    ) -> NeckFeatures:
        """Runs images (N, 3, H, W) through backbone and neck; there is only the target domain."""
        return self._features(inputs)
