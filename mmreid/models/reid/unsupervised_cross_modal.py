# Copyright (c) mmreid contributors. All rights reserved.
"""Visible-infrared re-ID without labels: each modality has clusters of its own."""

import torch

from mmreid.models.necks import NeckFeatures
from mmreid.registry import MODELS
from mmreid.structures import ReIDDataSample, stack_field

from .cross_modal import CrossModalReID


@MODELS.register_module()
class UnsupervisedCrossModalReID(CrossModalReID):
    """Learns from visible and infrared images alone (Yang et al., ADCA, ACM MM 2022).

    The images of each modality are grouped and compared with their clusters apart from the other modality; the labels
    of the data set are not read.

    Args:
        backbone (dict): See :class:`CrossModalReID`.
        neck (dict): See :class:`CrossModalReID`.
        head (dict): Config of a :class:`ContrastHead` with a :class:`ClusterMemory`.
        **kwargs: See :class:`CrossModalReID`.
    """

    #: DistributedDataParallel must not broadcast the memory, see :class:`UnsupervisedReID`.
    _ddp_params_and_buffers_to_ignore = ('head.memory.features', 'head.memory.labels')

    def loss(self, inputs: torch.Tensor, data_samples: list[ReIDDataSample]) -> dict[str, torch.Tensor]:
        """Compares the images of a batch, which must have both modalities, with the clusters of their own."""
        order, num_visible = self._training_blocks(data_samples)
        slots = stack_field(data_samples, 'sample_idx')[torch.tensor(order)]
        feats = self._embed_blocks(inputs, order, num_visible)
        return self.head.modality_losses(feats.after, slots, num_visible)

    def embed(
        self, inputs: torch.Tensor, domain: str = 'target', data_samples: list[ReIDDataSample] | None = None
    ) -> NeckFeatures:
        """Runs images (N, 3, H, W) through backbone and neck; their samples tell the modality of each."""
        return self._embed_in_order(inputs, data_samples)
