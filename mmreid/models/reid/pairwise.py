# Copyright (c) mmreid contributors. All rights reserved.
"""Re-ID by matching pairs of feature maps."""

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from mmreid.models.backbones import drop_unused_stages
from mmreid.models.matchers import CosineMatcher, EuclideanMatcher
from mmreid.registry import MODELS
from mmreid.structures import ReIDDataSample, stack_field

from .base import BaseReID


@MODELS.register_module()
class PairwiseReID(BaseReID):
    """Backbone, neck of maps, and a matcher that learns to score two maps (QAConv: Liao and Shao, ECCV 2020).

    Args:
        backbone (dict): Config of a backbone whose last output is a map. Stages after the last of its ``out_indices``
            are dropped; checkpoints that have them still load.
        neck (dict): Config of a neck that returns maps, e.g. ``dict(type='FeatureMapNeck', in_channels=1024)``.
        matcher (dict): Config of a matcher of maps, e.g. ``dict(type='QAConvMatcher', size=(24, 8))``.
        head (dict): Config of the losses, e.g. ``dict(type='PairwiseHead')``.
        backbone_norm_eval (bool): Keep the batch norms of the backbone in eval mode while training: only their scale
            and shift are trained, not their statistics. Defaults to False.
        **kwargs: See :class:`BaseReID`.
    """

    def __init__(
        self, backbone: dict, neck: dict, matcher: dict, head: dict, backbone_norm_eval: bool = False, **kwargs
    ) -> None:
        super().__init__(matcher=matcher, **kwargs)
        if self.flip_test:
            raise ValueError(
                'flip_test=True adds the features of an image and its mirror image, but two maps cannot be added '
                'location by location; leave flip_test=False for PairwiseReID'
            )
        if isinstance(self.matcher, (CosineMatcher, EuclideanMatcher)):
            raise ValueError(
                f'{type(self.matcher).__name__} compares vectors, but PairwiseReID computes maps; use QAConvMatcher or '
                'ImageReID for vectors'
            )
        self.backbone_norm_eval = backbone_norm_eval
        self.backbone = MODELS.build(backbone)
        drop_unused_stages(self.backbone)
        self.neck = MODELS.build(neck)
        self.head = MODELS.build(head)

    def train(self, mode: bool = True) -> 'PairwiseReID':
        """Sets the mode; with ``backbone_norm_eval`` the norms of the backbone stay in eval mode."""
        super().train(mode)
        if mode and self.backbone_norm_eval:
            for module in self.backbone.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def extract_feat(self, inputs: torch.Tensor, data_samples: list[ReIDDataSample] | None = None) -> torch.Tensor:
        """Maps images (N, 3, H, W) to feature maps (N, C, h, w)."""
        return self.neck(self.backbone(inputs))

    def loss(self, inputs: torch.Tensor, data_samples: list[ReIDDataSample]) -> dict[str, torch.Tensor]:
        """Computes the head's losses on a batch."""
        labels = stack_field(data_samples, 'gt_label', inputs.device)
        return self.head.loss(self.extract_feat(inputs), labels, self.matcher)
