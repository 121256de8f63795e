# Copyright (c) mmreid contributors. All rights reserved.
"""From what the loader collated to what the model takes."""

from collections.abc import Sequence

import torch
from mmpretrain.models.utils import ClsDataPreprocessor

from mmreid.registry import MODELS
from mmreid.utils.image_size import require_one_size


@MODELS.register_module()
class ReIDDataPreprocessor(ClsDataPreprocessor):
    """Moves a batch to the device, turns it to RGB, normalizes it and stacks its labels.

    Takes both what ``default_collate`` (one tensor) and ``pseudo_collate`` (a list) make.

    Args:
        mean (Sequence[float]): Mean of R, G, B on the 0-255 scale. Defaults to ImageNet's.
        std (Sequence[float]): Standard deviation of R, G, B. Defaults to ImageNet's.
        to_rgb (bool): The loader gives BGR; turn it round. Defaults to True.
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
                'batch_augments (Mixup, CutMix) blend identities, which the losses of re-ID do not understand; '
                'take them out of model.data_preprocessor'
            )
        super().__init__(mean=mean, std=std, to_rgb=to_rgb, **kwargs)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Prepares a batch.

        Args:
            data (dict): ``inputs``, (N, 3, H, W) uint8 or a list of (3, H, W), and ``data_samples``.
            training (bool): Kept for the interface of MMEngine. Defaults to False.

        Returns:
            dict: ``inputs``, (N, 3, H, W) float32 on the device, and ``data_samples``, their ``gt_label`` there too.

        Raises:
            ValueError: If the images of the batch differ in size.
        """
        inputs = data['inputs']
        if not isinstance(inputs, torch.Tensor):
            require_one_size(inputs)
            inputs = torch.stack(list(inputs))
        return super().forward(dict(data, inputs=inputs), training)
