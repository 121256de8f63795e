# Copyright (c) mmreid contributors. All rights reserved.
"""The loss of methods that compare images with a memory under pseudo labels: Cluster Contrast, SpCL, ADCA."""

import torch
import torch.nn.functional as F

from mmreid.models.memories.contrast_memory import ContrastMemory
from mmreid.models.utils.precision import full_precision
from mmreid.registry import MODELS
from mmreid.structures import MODALITIES

from .base_head import BaseHead


@MODELS.register_module()
class ContrastHead(BaseHead):
    """Draws images to the memory of their cluster, away from all others.

    Args:
        in_channels (int): Size of the embedding.
        num_classes (int, optional): Not used, as labels come from ``PseudoLabelHook``. Defaults to None.
        memory (dict): Config of the memory. Defaults to ``dict(type='ClusterMemory')``.
        source_weight (float): Weight of the loss of source images. Defaults to 1.
        init_cfg (dict, optional): Defaults to None.

    Raises:
        TypeError: If the memory has no pseudo labels.
        ValueError: If the weight is negative.
    """

    source_slot_field = 'gt_label'

    def __init__(
        self,
        in_channels: int,
        num_classes: int | None = None,
        memory: dict = dict(type='mmreid.ClusterMemory'),  # noqa: B006
        source_weight: float = 1.0,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(num_classes, init_cfg)
        if source_weight < 0:
            raise ValueError(f'source_weight={source_weight} of ContrastHead must not be negative')
        self.source_weight = source_weight
        self.memory = MODELS.build(dict(memory, feat_dim=in_channels))
        if not isinstance(self.memory, ContrastMemory):
            raise TypeError(
                f'memory of ContrastHead is a {type(self.memory).__name__}, which has no pseudo labels; use '
                "dict(type='ClusterMemory') or dict(type='HybridMemory')"
            )

    def source_loss(
        self, feats: torch.Tensor, labels: torch.Tensor, slots: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        """Draws source images to the rows of their identities.

        Args:
            feats (torch.Tensor): Embeddings after the batch norm, shape (N, D).
            labels (torch.Tensor): Contiguous labels, shape (N,), int64; not used.
            slots (torch.Tensor): The same labels, on the host.

        Returns:
            dict[str, torch.Tensor]: ``loss_source``, weighted, and ``source_acc``, how many images are most similar to
            their own identity, in percent.
        """
        loss, accuracy = self._contrast(feats, slots, 'source')
        return dict(loss_source=self.source_weight * loss, source_acc=accuracy)

    def target_loss(
        self, feats: torch.Tensor, slots: torch.Tensor, styled: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        """Draws target images to their clusters.

        Args:
            feats (torch.Tensor): Embeddings after the batch norm, shape (N, D).
            slots (torch.Tensor): Which target image each row shows, shape (N,), int64, on the host.
            styled (torch.Tensor, optional): Rows in the style of another camera; treated like the others.

        Returns:
            dict[str, torch.Tensor]: ``loss_target`` and ``target_acc``, how many images are most similar to their own
            cluster, in percent.
        """
        loss, accuracy = self._contrast(feats, slots, 'target')
        return dict(loss_target=loss, target_acc=accuracy)

    def modality_losses(self, feats: torch.Tensor, slots: torch.Tensor, num_visible: int) -> dict[str, torch.Tensor]:
        """Draws visible and infrared images to the clusters of their own modality.

        Args:
            feats (torch.Tensor): Embeddings after the batch norm, the visible ones first, shape (N, D).
            slots (torch.Tensor): Which target image each row shows, shape (N,), int64, on the host.
            num_visible (int): How many are visible.

        Returns:
            dict[str, torch.Tensor]: ``loss_visible`` and ``visible_acc``, how many images are most similar to their own
            cluster, in percent; the same for ``infrared``.
        """
        results = {}
        for modality, own in zip(MODALITIES, (slice(num_visible), slice(num_visible, None)), strict=True):
            loss, accuracy = self._contrast(feats[own], slots[own], modality)
            results |= {f'loss_{modality}': loss, f'{modality}_acc': accuracy}
        return results

    def _contrast(self, feats: torch.Tensor, items: torch.Tensor, domain: str) -> tuple[torch.Tensor, torch.Tensor]:
        self.memory.check(items, domain)
        rows = self.memory.rows_of(items, domain)
        with full_precision(feats):  # mixed precision overflows in the exponentials
            feats = F.normalize(feats.float(), dim=1)
            loss, accuracy = self.memory.contrast(feats, rows, domain)
        if self.training:
            self.memory.remember(feats, rows, domain)
        return loss, accuracy
