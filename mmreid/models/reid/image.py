# Copyright (c) mmreid contributors. All rights reserved.
"""Re-ID with one embedding per image and one modality."""

import torch

from mmreid.models.backbones import drop_unused_stages
from mmreid.models.necks import NeckFeatures
from mmreid.registry import MODELS
from mmreid.structures import ReIDDataSample, stack_field

from .base import BaseReID


@MODELS.register_module()
class ImageReID(BaseReID):
    """Backbone, neck and head: the strong baseline and its variants.

    Args:
        backbone (dict): Config of any MMPretrain backbone (or one of ours).
        neck (dict): Config of a neck returning :class:`NeckFeatures`, like ``dict(type='BNNeck', in_channels=2048)``.
        head (dict): Config of a head, e.g. ``dict(type='ReIDHead', in_channels=2048)``.
        test_feat (str): Which embedding testing compares, ``'before'`` or ``'after'`` the batch norm. Defaults to
            ``'after'``.
        **kwargs: See :class:`BaseReID`.
    """

    def __init__(self, backbone: dict, neck: dict, head: dict, test_feat: str = 'after', **kwargs) -> None:
        super().__init__(**kwargs)
        if test_feat not in NeckFeatures._fields:
            raise ValueError(f"test_feat='{test_feat}' is unknown; use one of {', '.join(NeckFeatures._fields)}")
        self.test_feat = test_feat
        self.backbone = MODELS.build(backbone)
        drop_unused_stages(self.backbone)
        self.neck = MODELS.build(neck)
        self.head = MODELS.build(head)
        if self.head.only_before:
            # No loss uses the embedding after: what makes it would get no gradient, which stops distributed training.
            for name in self.neck.only_after:
                getattr(self.neck, name).requires_grad_(False)

    def extract_feat(self, inputs: torch.Tensor, data_samples: list[ReIDDataSample] | None = None) -> torch.Tensor:
        """Embeds images; shape (N, 3, H, W) to (N, D)."""
        return getattr(self._features(inputs), self.test_feat)

    def _features(self, inputs: torch.Tensor) -> NeckFeatures:
        feats = self.neck(self.backbone(inputs))
        if not isinstance(feats, NeckFeatures):
            raise TypeError(
                f'the neck {type(self.neck).__name__} returns {type(feats).__name__}, not NeckFeatures; use BNNeck, '
                'EmbeddingNeck or PartNeck, which accept a pooling as pool'
            )
        return feats

    def loss(self, inputs: torch.Tensor, data_samples: list[ReIDDataSample]) -> dict[str, torch.Tensor]:
        """Computes the head's losses on a batch."""
        feats = self._features(inputs)
        return self.head.loss(feats, stack_field(data_samples, 'gt_label', inputs.device))
