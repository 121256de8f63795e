# Copyright (c) mmreid contributors. All rights reserved.
"""Unsupervised domain adaptation: labeled source images and unlabeled target images in one batch."""

import torch
import torch.nn.functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from mmreid.models.layers import BranchContext, apply_arch, branch_norms
from mmreid.models.layers.recompute import checkpoints_of
from mmreid.models.necks import NeckFeatures
from mmreid.registry import MODELS
from mmreid.structures import ReIDDataSample, stack_field

from .image import ImageReID

#: Which branch of a split norm a domain takes.
BRANCH_OF = dict(source='visible', target='infrared')


@MODELS.register_module()
class DomainAdaptiveReID(ImageReID):
    """Learns from source labels and from target images without labels (Zhong et al., ECN, CVPR 2019).

    Source and target run through the network one after the other, so that each normalizes its own batch. Target images
    are those whose samples have a ``slot``; :class:`~mmreid.datasets.SourceTargetDataset` numbers them.

    Args:
        backbone (dict): See :class:`ImageReID`. With modality norms (``norm_cfg=dict(type='mmreid.BranchBN2d')``)
            every norm is split: source and target have batch norms of their own, and tested is with the target's.
        neck (dict): See :class:`ImageReID`, e.g. ``dict(type='EmbeddingNeck', in_channels=2048)``.
        head (dict): Config of an :class:`InvarianceHead`.
        test_feat (str): See :class:`ImageReID`. Defaults to ``'before'``, ECN's pooled feature.
        normalize_feat (bool): L2-normalize the feature that is compared. Defaults to True.
        live_shortcut_norms (bool): Keep the batch norms of the shortcuts of frozen stages in training mode. The
            official code freezes them by a name that those have not. Defaults to False.
        **kwargs: See :class:`BaseReID`.
    """

    #: A sharded memory differs from rank to rank, and that of one rank must not be sent to the others. One in the main
    #: memory cannot be sent by NCCL.
    _ddp_params_and_buffers_to_ignore = ('head.memory.features', 'head.invariance.neighbors.memory.features')

    def __init__(
        self,
        backbone: dict,
        neck: dict,
        head: dict,
        test_feat: str = 'before',
        normalize_feat: bool = True,
        live_shortcut_norms: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(backbone, neck, head, test_feat=test_feat, **kwargs)
        self.normalize_feat = normalize_feat
        self.live_shortcut_norms = live_shortcut_norms
        self._domain_norms = list(branch_norms(self.backbone).values())
        self.modality = BranchContext()
        if self._domain_norms:
            for norm in self._domain_norms:
                norm.context = self.modality
            apply_arch(self.backbone, 'split')

    def train(self, mode: bool = True) -> 'DomainAdaptiveReID':
        """Sets the mode; frozen stages stay in eval mode, as far as they shall."""
        super().train(mode)
        if mode and self.live_shortcut_norms:
            for name, module in self.backbone.named_modules():
                if isinstance(module, _BatchNorm) and '.downsample.' in name:
                    module.train()
        return self

    def extract_feat(self, inputs: torch.Tensor, data_samples: list[ReIDDataSample] | None = None) -> torch.Tensor:
        """Embeds images of the target domain; shape (N, 3, H, W) to (N, D)."""
        feats = getattr(self.embed(inputs, 'target'), self.test_feat)
        return F.normalize(feats.float(), dim=1) if self.normalize_feat else feats

    def loss(self, inputs: torch.Tensor, data_samples: list[ReIDDataSample]) -> dict[str, torch.Tensor]:
        """Computes the source loss of the source images and the target loss of the target images of a batch.

        Raises:
            ValueError: If the head has a memory and the batch lacks one of the domains.
        """
        is_target = [sample.get('slot') is not None for sample in data_samples]
        results = {}
        source = [row for row, target in enumerate(is_target) if not target]
        target = [row for row, target in enumerate(is_target) if target]
        if self.head.memory is not None and not (source and target):
            raise ValueError(
                f'the batch has {len(source)} source and {len(target)} target images; train on a SourceTargetDataset '
                'with a MultiDomainBatchSampler that takes both, and pack target images with '
                "PackReIDInputs(algorithm_keys=('slot',))"
            )
        if source:
            samples = [data_samples[row] for row in source]
            feats = self.embed(inputs[source], 'source').after
            labels, slots = stack_field(samples, 'gt_label', inputs.device), None
            if 'source' in self.head.memories():
                # Source images come first in a SourceTargetDataset, so their numbers are those of their slots.
                slots = stack_field(samples, 'sample_idx', inputs.device)
            results.update(self.head.source_loss(feats, labels, slots))
        if target:
            samples = [data_samples[row] for row in target]
            feats = self.embed(inputs[target], 'target').after
            styled = torch.tensor([bool(sample.get('styled', False)) for sample in samples], device=inputs.device)
            results.update(self.head.target_loss(feats, stack_field(samples, 'slot', inputs.device), styled))
        return results

    def embed(self, inputs: torch.Tensor, domain: str) -> NeckFeatures:
        """Runs images of one domain through backbone and neck.

        Args:
            inputs (torch.Tensor): Preprocessed images, shape (N, 3, H, W).
            domain (str): ``'source'`` or ``'target'``.

        Returns:
            NeckFeatures: Embeddings before and after the batch norm.
        """
        if not self._domain_norms:
            return self.neck(self.backbone(inputs))
        self.modality.set_only(BRANCH_OF[domain])
        with checkpoints_of(self.modality, self._domain_norms):
            return self.neck(self.backbone(inputs))
