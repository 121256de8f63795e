# Copyright (c) mmreid contributors. All rights reserved.
"""Turns collated batches into model inputs."""

from collections.abc import Sequence

import torch
from mmpretrain.models.utils import ClsDataPreprocessor

from mmreid.registry import MODELS
from mmreid.utils.image_size import require_one_size


@MODELS.register_module()
class ReIDDataPreprocessor(ClsDataPreprocessor):
    """Moves the images of a batch to the device, converts them to RGB and normalizes them.

    Accepts the output of ``default_collate`` (one tensor) and of ``pseudo_collate`` (a list). The host does not wait
    for the copy, and the data samples stay on the host, where models and checks read them without waiting for a GPU.

    Args:
        mean (Sequence[float]): Mean of R, G, B on the 0-255 scale. Defaults to ImageNet's.
        std (Sequence[float]): Standard deviation of R, G, B. Defaults to ImageNet's.
        to_rgb (bool): Convert the images from BGR, as loaded, to RGB. Defaults to True.
        **kwargs: See :class:`mmpretrain.models.ClsDataPreprocessor`.
    """

    def __init__(
        self,
        mean: Sequence[float] = (123.675, 116.28, 103.53),
        std: Sequence[float] = (58.395, 57.12, 57.375),
        to_rgb: bool = True,
        **kwargs,
    ) -> None:
        if kwargs.get('batch_augments'):
            raise ValueError(
                'batch_augments (Mixup, CutMix) blend identities, which re-ID losses cannot handle; '
                'remove them from model.data_preprocessor'
            )
        super().__init__(mean=mean, std=std, to_rgb=to_rgb, **kwargs)
        self._non_blocking = True

    def forward(self, data: dict, training: bool = False) -> dict:
        """Prepares ``inputs``, (N, 3, H, W) uint8 or a list of equally large (3, H, W), and ``data_samples``."""
        inputs = data['inputs']
        if not isinstance(inputs, torch.Tensor):
            require_one_size(inputs)
            inputs = torch.stack(list(inputs))
        return dict(super().forward(dict(inputs=inputs), training), data_samples=data.get('data_samples'))
