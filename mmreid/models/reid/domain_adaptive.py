# Copyright (c) mmreid contributors. All rights reserved.
"""Unsupervised domain adaptation: labeled source images and unlabeled target images in one batch."""

import torch
import torch.nn.functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from mmreid.models.layers import BranchContext, apply_arch, attach_branches, branch_norms
from mmreid.models.layers.recompute import replayable
from mmreid.models.necks import NeckFeatures
from mmreid.registry import MODELS
from mmreid.structures import ReIDDataSample, stack_field

from .image import ImageReID

DOMAINS = ('source', 'target')


@MODELS.register_module()
class DomainAdaptiveReID(ImageReID):
    """Learns from source labels and from target images without labels (Zhong et al., ECN, CVPR 2019).

    Source and target run through the network one after the other, so that each normalizes its own batch. Images whose
    samples have a ``slot`` belong to the target; :class:`~mmreid.datasets.SourceTargetDataset` numbers the slots.

    Args:
        backbone (dict): See :class:`ImageReID`. With branch norms (``norm_cfg=dict(type='mmreid.BranchBN2d')``) every
            norm is split: source and target have their own batch norms, and testing uses those of the target.
        neck (dict): See :class:`ImageReID`, e.g. ``dict(type='EmbeddingNeck', in_channels=2048)``; branch norms in it
            are split too.
        head (dict): Config of an :class:`InvarianceHead` or a :class:`ContrastHead`.
        test_feat (str): See :class:`ImageReID`. Defaults to ``'before'``, ECN's pooled feature.
        normalize_feat (bool): L2-normalize the feature that is compared. Defaults to True.
        live_shortcut_norms (bool): Keep the batch norms of the shortcuts of frozen stages in training mode, as the
            official code does: the name by which it freezes norms does not match those. Defaults to False.
        **kwargs: See :class:`BaseReID`.

    Attributes:
        branches (BranchContext | None): With the branches ``'source'`` and ``'target'``; None without branch norms.
    """

    #: DistributedDataParallel must not broadcast a memory: a sharded one differs between ranks, and NCCL cannot send
    #: one that lies in main memory.
    _ddp_params_and_buffers_to_ignore = (
        'head.memory.features',
        'head.memory.labels',
        'head.invariance.neighbors.memory.features',
    )

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
        context = BranchContext(DOMAINS)
        networks = [part for part in (self.backbone, self.neck) if attach_branches(part, context)]
        for network in networks:
            self.branches = context
            apply_arch(network, 'split')
        # A tuple keeps them out of the tree.
        self._norms = tuple(norm for network in networks for norm in branch_norms(network).values())

    def train(self, mode: bool = True) -> 'DomainAdaptiveReID':
        """Sets the mode; frozen stages stay in eval mode, except for norms that ``live_shortcut_norms`` keeps live."""
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
        """Computes the source loss and the target loss; with a memory, the batch must have images of both domains."""
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
            feats = self.embed(_rows(inputs, source), 'source').after
            labels, field = stack_field(samples, 'gt_label', inputs.device), self.head.source_slot_field
            slots = stack_field(samples, field) if field else None
            results.update(self.head.source_loss(feats, labels, slots))
        if target:
            samples = [data_samples[row] for row in target]
            feats = self.embed(_rows(inputs, target), 'target').after
            styled = torch.tensor([bool(sample.get('styled', False)) for sample in samples])
            styled = styled.to(inputs.device, non_blocking=True)
            results.update(self.head.target_loss(feats, stack_field(samples, 'slot'), styled))
        return results

    def embed(
        self, inputs: torch.Tensor, domain: str, data_samples: list[ReIDDataSample] | None = None
    ) -> NeckFeatures:
        """Runs images (N, 3, H, W) of one domain, ``'source'`` or ``'target'``, through backbone and neck."""
        if self.branches is None:
            return self.neck(self.backbone(inputs))
        self.branches.set_only(domain)
        with replayable(self.branches, self._norms):
            return self.neck(self.backbone(inputs))


def _rows(inputs: torch.Tensor, rows: list[int]) -> torch.Tensor:
    return inputs[torch.tensor(rows).to(inputs.device, non_blocking=True)]
