# Copyright (c) mmreid contributors. All rights reserved.
"""Visible-infrared re-ID: one network whose norms are shared or split between the modalities."""

from collections.abc import Mapping, Sequence

import torch

from mmreid.models.layers import MODALITIES, BranchContext, apply_arch, branch_norms
from mmreid.models.layers.recompute import checkpoints_of
from mmreid.models.necks import NeckFeatures
from mmreid.registry import MODELS
from mmreid.structures import ReIDDataSample, stack_field
from mmreid.utils.arch_io import STATES, read_arch

from .image import ImageReID


@MODELS.register_module()
class CrossModalReID(ImageReID):
    """Embeds visible and infrared images with one network (Fu et al., CM-NAS, ICCV 2021).

    The backbone has modality norms (``norm_cfg=dict(type='mmreid.BranchBN2d')``), whose states come from ``arch``, or
    are searched when there is a ``mutator``. Images may come in any order: they are put into a visible and an
    infrared block before the backbone and the embeddings back into their order behind it.

    Args:
        backbone (dict): Config of a backbone with modality norms.
        neck (dict): See :class:`ImageReID`.
        head (dict): See :class:`ImageReID`; its ``loss`` gets the embeddings as a visible and an infrared block, and
            ``num_visible``, the size of the first.
        arch (str | Mapping[str, str]): Which norms are split: ``'share'`` or ``'split'`` for all, or layer names or
            patterns to states, see :func:`mmreid.models.layers.resolve_arch`; or the path of an ``arch.json`` or of an
            official line of 0 and 1, whose content the runner puts into the config. Defaults to ``'share'``.
        mutator (dict, optional): Config of what searches the states, e.g. ``dict(type='BNMutator')``; ``arch`` is then
            without effect. Defaults to None.
        **kwargs: See :class:`ImageReID`.

    Attributes:
        arch (dict[str, str]): State of each norm of the backbone; empty while it is searched.
        modality (BranchContext): What tells the norms the modality of the running batch.
        phase (str): Which losses the head computes: ``'weights'``, or ``'arch'`` in architecture steps.
    """

    def __init__(
        self,
        backbone: dict,
        neck: dict,
        head: dict,
        arch: str | Mapping[str, str] = 'share',
        mutator: dict | None = None,
        **kwargs,
    ) -> None:
        super().__init__(backbone, neck, head, **kwargs)
        norms = branch_norms(self.backbone)
        if not norms:
            raise ValueError(
                f'the backbone {backbone.get("type")} has no modality norm, so nothing can differ between the '
                "modalities; give it norm_cfg=dict(type='mmreid.BranchBN2d') (BranchLN2d, BranchLN for layer "
                'norms), or use ImageReID'
            )
        self.phase = 'weights'
        self.modality = BranchContext()
        self._norms = tuple(norms.values())  # a tuple is no part of the module tree
        for norm in norms.values():
            norm.context = self.modality
        self.mutator = MODELS.build(mutator) if mutator else None
        if self.mutator is None:
            if isinstance(arch, str) and arch not in STATES:
                arch = read_arch(arch, norms)
            self.arch = apply_arch(self.backbone, arch)
        else:
            self.arch = {}
            self.mutator.prepare(norms)

    def init_weights(self) -> None:
        """Initializes all weights; the branches of a norm start equal."""
        super().init_weights()
        for norm in branch_norms(self.backbone).values():
            norm.align_branches()

    def extract_feat(self, inputs: torch.Tensor, data_samples: Sequence[ReIDDataSample] | None = None) -> torch.Tensor:
        """Embeds images of either modality.

        Args:
            inputs (torch.Tensor): Preprocessed images, shape (N, 3, H, W), in any order.
            data_samples (Sequence[ReIDDataSample], optional): Their labels, with ``modality``. Without, the batch has
                the modality that was set last with ``model.modality.set_only(...)``, as in an exported network.

        Returns:
            torch.Tensor: Shape (N, D), in the order of ``inputs``.
        """
        if data_samples is None:
            return getattr(self._embed(inputs), self.test_feat)
        order, num_visible = self._blocks(data_samples)
        self.modality.set_blocks(num_visible, len(order) - num_visible)
        in_order = order == sorted(order)
        rows = torch.tensor(order, device=inputs.device)
        try:
            feats = getattr(self._embed(inputs if in_order else inputs[rows]), self.test_feat)
        finally:
            self.modality.clear()
        return feats if in_order else torch.empty_like(feats).index_copy(0, rows, feats)

    def loss(self, inputs: torch.Tensor, data_samples: list[ReIDDataSample]) -> dict[str, torch.Tensor]:
        """Computes the head's losses on a batch.

        Raises:
            ValueError: If the batch has one modality only.
        """
        order, num_visible = self._blocks(data_samples)
        if num_visible in (0, len(order)):
            raise ValueError(
                f'a training batch of {len(order)} images has {num_visible} visible ones; each needs both modalities, '
                "so draw it with instance_sampler=dict(type='CrossModalityInstanceSampler')"
            )
        self.modality.set_blocks(num_visible, len(order) - num_visible)
        labels = stack_field(data_samples, 'gt_label', inputs.device)
        if order != sorted(order):
            rows = torch.tensor(order, device=inputs.device)
            inputs, labels = inputs[rows], labels[rows]
        try:
            feats = self._embed(inputs)
        finally:
            self.modality.clear()
        return self.head.loss(feats, labels, num_visible=num_visible, phase=self.phase)

    def _embed(self, inputs: torch.Tensor) -> NeckFeatures:
        if self.mutator is not None:
            self.mutator.mix()
        with checkpoints_of(self.modality, self._norms):
            return self.neck(self.backbone(inputs))

    @staticmethod
    def _blocks(data_samples: Sequence[ReIDDataSample]) -> tuple[list[int], int]:
        """Orders a batch: its visible rows, then its infrared ones; and counts the first."""
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
