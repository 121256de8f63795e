# Copyright (c) mmreid contributors. All rights reserved.
"""Visible-infrared re-ID: one network, with norms or other layers that are split between the modalities."""

from collections.abc import Mapping, Sequence

import torch

from mmreid.models.layers import BranchContext, apply_arch, attach_branches, copy_layers
from mmreid.models.layers.recompute import replayable
from mmreid.models.necks import NeckFeatures
from mmreid.registry import MODELS
from mmreid.structures import MODALITIES, ReIDDataSample, stack_field
from mmreid.utils.arch_io import STATES, read_arch

from .image import ImageReID


@MODELS.register_module()
class CrossModalReID(ImageReID):
    """Embeds visible and infrared images with one network.

    What differs between the modalities are norms or whole layers. For norms, the backbone has branch norms
    (``norm_cfg=dict(type='mmreid.BranchBN2d')``), whose states come from ``arch``, or a ``mutator`` searches them (Fu
    et al., CM-NAS, ICCV 2021). Each modality has a copy of the layers in ``copied_layers``, such as the stem (Ye et
    al., AGW, TPAMI 2021). Images may come in any order: the model sorts them into a visible and an infrared block
    for the network, and restores the order of the embeddings.

    Args:
        backbone (dict): Config of a backbone with branch norms, or of any with ``copied_layers``.
        neck (dict): See :class:`ImageReID`.
        head (dict): See :class:`ImageReID`; its ``loss`` receives the embeddings as a visible and an infrared block,
            and ``num_visible``, the size of the first.
        arch (str | Mapping[str, str]): Which norms are split: ``'share'`` or ``'split'`` for all, or a state for each
            layer name or pattern, see :func:`mmreid.models.layers.resolve_arch`; or the path of an ``arch.json`` or of
            an official line of 0 and 1, whose content the runner puts into the config. Defaults to ``'share'``.
        mutator (dict, optional): Config of what searches the states, e.g. ``dict(type='BNMutator')``; ``arch`` then has
            no effect. Defaults to None.
        copied_layers (Sequence[str]): Layers of the backbone that each modality has a copy of, by name, e.g.
            ``('conv1', 'bn1')`` for two stems of a ResNet. Their plain weights load into both. Defaults to ().
        **kwargs: See :class:`ImageReID`.

    Attributes:
        branches (BranchContext): With the branches ``'visible'`` and ``'infrared'``.
    """

    def __init__(
        self,
        backbone: dict,
        neck: dict,
        head: dict,
        arch: str | Mapping[str, str] = 'share',
        mutator: dict | None = None,
        copied_layers: Sequence[str] = (),
        **kwargs,
    ) -> None:
        super().__init__(backbone, neck, head, **kwargs)
        self.branches = BranchContext(MODALITIES)
        # Tuples keep them out of the module tree, which has them as parts of the backbone.
        self._copies = tuple(copy_layers(self.backbone, copied_layers, self.branches))
        norms = attach_branches(self.backbone, self.branches)
        attach_branches(self.neck, self.branches)  # stay shared
        if not norms and not self._copies:
            raise ValueError(
                f'the backbone {backbone.get("type")} has no branch norm, so nothing can differ between the '
                "modalities; give it norm_cfg=dict(type='mmreid.BranchBN2d') (BranchLN2d, BranchLN for layer "
                'norms), give the model copied_layers, or use ImageReID'
            )
        self._norms = tuple(norms.values())
        if mutator:
            self.mutator = MODELS.build(mutator)
            self.mutator.prepare(norms)
            return
        if isinstance(arch, str) and arch not in STATES:
            arch = read_arch(arch, norms)
        self.arch = apply_arch(self.backbone, arch) if norms or arch != 'share' else {}

    def init_weights(self) -> None:
        """Initializes all weights; the branches of a norm or a copied layer start equal."""
        super().init_weights()
        for copies in self._copies:
            copies.align()
        for norm in self._norms:
            norm.align_branches()

    def extract_feat(self, inputs: torch.Tensor, data_samples: Sequence[ReIDDataSample] | None = None) -> torch.Tensor:
        """Embeds images of either modality; shape (N, 3, H, W) to (N, D), in the same order.

        Without data samples all images have the modality given to ``model.branches.set_only()``, as in an export.
        """
        if data_samples is None:
            return getattr(self._embed(inputs), self.test_feat)
        return getattr(self._embed_in_order(inputs, data_samples), self.test_feat)

    def loss(self, inputs: torch.Tensor, data_samples: list[ReIDDataSample]) -> dict[str, torch.Tensor]:
        """Computes the head's losses on a batch, which must have both modalities."""
        order, num_visible = self._training_blocks(data_samples)
        labels = stack_field(data_samples, 'gt_label')[torch.tensor(order)]
        self.head.check_labels(labels, num_visible, self.phase)
        labels = labels.to(inputs.device, non_blocking=True)
        feats = self._embed_blocks(inputs, order, num_visible)
        return self.head.loss(feats, labels, num_visible=num_visible, phase=self.phase)

    def _embed_in_order(self, inputs: torch.Tensor, data_samples: Sequence[ReIDDataSample]) -> NeckFeatures:
        """Embeds images of either modality, and returns the embeddings in the order of the images."""
        order, num_visible = self._blocks(data_samples)
        feats = self._embed_blocks(inputs, order, num_visible)
        if order == sorted(order):
            return feats
        rows = torch.tensor(order).to(inputs.device, non_blocking=True)
        return NeckFeatures(*(torch.empty_like(part).index_copy(0, rows, part) for part in feats))

    def _embed_blocks(self, inputs: torch.Tensor, order: list[int], num_visible: int) -> NeckFeatures:
        """Embeds the rows of a batch in an order, the visible ones first."""
        self.branches.set_blocks(num_visible, len(order) - num_visible)
        if order != sorted(order):
            inputs = inputs[torch.tensor(order).to(inputs.device, non_blocking=True)]
        try:
            return self._embed(inputs)
        finally:
            self.branches.clear()

    def _embed(self, inputs: torch.Tensor) -> NeckFeatures:
        if self.mutator is not None:
            self.mutator.mix()
        with replayable(self.branches, self._norms):
            return self.neck(self.backbone(inputs))

    def _training_blocks(self, data_samples: Sequence[ReIDDataSample]) -> tuple[list[int], int]:
        """Returns what :meth:`_blocks` does, of a batch that must have both modalities."""
        order, num_visible = self._blocks(data_samples)
        if num_visible in (0, len(order)):
            raise ValueError(
                f'a training batch of {len(order)} images has {num_visible} visible ones; each needs both modalities, '
                "so draw it with instance_sampler=dict(type='CrossModalityInstanceSampler'), or without labels from "
                "parts=[dict(modality='visible', ...), dict(modality='infrared', ...)]"
            )
        return order, num_visible

    @staticmethod
    def _blocks(data_samples: Sequence[ReIDDataSample]) -> tuple[list[int], int]:
        """Returns the visible rows, then the infrared ones, and the number of visible rows."""
        rows: dict[str, list[int]] = {modality: [] for modality in MODALITIES}
        for row, sample in enumerate(data_samples):
            modality = sample.get('modality')
            if modality not in rows:
                raise ValueError(
                    f"image {sample.get('img_path')} has modality={modality!r}, but must be 'visible' or 'infrared'; "
                    'use a visible-infrared data set, or give the modality in its records'
                )
            rows[modality].append(row)
        return rows['visible'] + rows['infrared'], len(rows['visible'])
