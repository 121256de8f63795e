# Copyright (c) mmreid contributors. All rights reserved.
"""The losses of ECN: classification of source identities, and invariance on target images."""

import torch
import torch.nn.functional as F
from torch import nn

from mmreid.models.memories import ExemplarMemory, Neighbors
from mmreid.models.utils.precision import full_precision
from mmreid.registry import MODELS

from .memory_head import MemoryHead
from .target_invariance import TargetInvariance


@MODELS.register_module()
class InvarianceHead(MemoryHead):
    """Classifies source images, and draws target images to slots of a memory (Zhong et al., ECN, CVPR 2019).

    Args:
        in_channels (int): Size of the embedding.
        num_classes (int, optional): Number of source identities; the runner fills it in. Defaults to None.
        memory (dict, optional): Config of the memory; None for a head that learns from the source alone. Defaults to
            None.
        invariance (dict, optional): Which slots target images are drawn to, see :class:`TargetInvariance`. Defaults to
            None: all three invariances as published.
        loss_cls (dict): Config of the classification loss. Defaults to plain cross entropy.
        temperature (float): beta of the paper. Defaults to 0.05.
        target_weight (float): lambda of the paper: the loss is (1 - lambda) source + lambda target. Defaults to 0.3.
        dropout (float): Dropout rate of both branches. Defaults to 0.5.
        update_with (str, optional): What the memories are updated with: ``'dropped'``, the feature after dropout, as in
            the official code of ECN, or ``'clean'``, the one before it. Defaults to None: ``'clean'`` with learned
            neighbors, as dropout hides half of a slot from their graph, and ``'dropped'`` otherwise.
        init_cfg (dict, optional): Defaults to normal weights of standard deviation 0.001.

    Raises:
        ValueError: If an argument is out of range, or neighbors lack the memory that they need.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int | None = None,
        memory: dict | None = None,
        invariance: dict | None = None,
        loss_cls: dict = dict(type='mmpretrain.CrossEntropyLoss'),  # noqa: B006
        temperature: float = 0.05,
        target_weight: float = 0.3,
        dropout: float = 0.5,
        update_with: str | None = None,
        init_cfg: dict | None = dict(type='Normal', layer='Linear', std=0.001),  # noqa: B006
    ) -> None:
        super().__init__(num_classes, init_cfg)
        if not 0 <= target_weight <= 1:
            raise ValueError(f'target_weight={target_weight} of InvarianceHead must lie in [0, 1]')
        if temperature <= 0:
            raise ValueError(f'temperature={temperature} of InvarianceHead must be above 0')
        if update_with not in ('dropped', 'clean', None):
            raise ValueError(f"update_with={update_with!r} of InvarianceHead is unknown; use 'dropped' or 'clean'")
        self.temperature = temperature
        self.target_weight = target_weight
        self.dropout = nn.Dropout(dropout)
        self.loss_cls = MODELS.build(loss_cls)
        self.invariance: TargetInvariance | None = None
        self._build_memory(memory, invariance or {}, in_channels)
        self.update_with = update_with or ('dropped' if self.learned_neighbors is None else 'clean')
        if num_classes:
            self.classifier = nn.Linear(in_channels, num_classes)

    def _build_memory(self, memory: dict | None, invariance: dict, feat_dim: int) -> None:
        neighbors = invariance.get('neighbors') or {}
        if not memory:
            if neighbors:
                raise ValueError(
                    f'neighbors={neighbors} of InvarianceHead have no use without a memory; leave them out'
                )
            return
        self.memory = MODELS.build(dict(memory, feat_dim=feat_dim))
        self.invariance = TargetInvariance(feat_dim, **invariance)
        if self.learned_neighbors is not None and not isinstance(self.memory, ExemplarMemory):
            raise ValueError(
                f'neighbors={neighbors["type"]!r} need slots of all target images, but the memory is a '
                f"{type(self.memory).__name__}; use memory=dict(type='ExemplarMemory')"
            )

    @property
    def neighbors(self) -> Neighbors | None:
        return self.invariance.neighbors if self.invariance is not None else None

    @property
    def neighbors_wait(self) -> bool:
        return self.neighbors is not None and self.invariance.waiting

    def start_run(self, max_epochs: int) -> int | None:
        """Counts the first epoch with neighbors."""
        return self.invariance.start_run(max_epochs) if self.invariance is not None else None

    def start_epoch(self, epoch: int) -> None:
        """Tells the invariances the epoch."""
        if self.invariance is not None:
            self.invariance.epoch = epoch

    def source_loss(
        self, feats: torch.Tensor, labels: torch.Tensor, slots: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        """Classifies source images, and trains learned neighbors on them.

        Args:
            feats (torch.Tensor): Embeddings after the batch norm, shape (N, D).
            labels (torch.Tensor): Contiguous labels, shape (N,), int64.
            slots (torch.Tensor, optional): Which source image each row shows, shape (N,), int64, on the host; needed
                only with a source memory. Defaults to None.

        Returns:
            dict[str, torch.Tensor]: ``loss_source``, weighted if there is a memory, ``acc`` in percent, and the losses
            of learned neighbors.

        Raises:
            RuntimeError: If the number of identities is unknown.
        """
        scores, accuracy = self.classify(self.dropout(F.relu(feats)), labels)
        weight = 1 - self.target_weight if self.memory is not None else 1.0
        results = dict(loss_source=weight * self.loss_cls(scores, labels), acc=accuracy)
        learned = self.learned_neighbors
        if learned is not None:
            with full_precision(feats):
                clean, dropped = self._clean_and_dropped(feats.detach())
                learned.memory.check(slots)
                results.update(learned.source_loss(clean, slots.to(feats.device, non_blocking=True)))
            if self.training:
                learned.memory.remember(dropped if self.update_with == 'dropped' else clean, slots)
        return results

    def target_loss(
        self, feats: torch.Tensor, slots: torch.Tensor, styled: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        """Draws target images to slots of the memory, away from all others.

        Args:
            feats (torch.Tensor): Embeddings after the batch norm, shape (N, D).
            slots (torch.Tensor): Which target image each row shows, shape (N,), int64, on the host.
            styled (torch.Tensor, optional): Rows in the style of another camera, shape (N,), bool. Defaults to none.

        Returns:
            dict[str, torch.Tensor]: ``loss_target``, weighted, and ``own_prob``, the mean probability of the own slot.

        Raises:
            RuntimeError: If there is no memory, or it was not updated after the last step.
        """
        if self.memory is None:
            raise RuntimeError('the batch has target images, but model.head.memory is None; give it a memory')
        self.memory.check(slots)
        with full_precision(feats):  # mixed precision overflows in the gradients of small norms
            clean, dropped = self._clean_and_dropped(feats)
            memory, own = self.memory.of_batch(clean, slots)
            similarity = memory.compare(dropped, self.temperature)
            chosen, weights = self.invariance.targets(similarity, own, styled, clean.detach())
            loss = similarity.cross_entropy(chosen, weights).mean()
            with torch.no_grad():
                own_prob = (-similarity.cross_entropy(own[:, None], torch.ones_like(weights[:, :1]))).exp().mean()
        if self.training:
            self.memory.remember(dropped if self.update_with == 'dropped' else clean, slots)
        return dict(loss_target=self.target_weight * loss, own_prob=own_prob)

    def _clean_and_dropped(self, feats: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        clean = F.normalize(feats.float(), dim=1)
        return clean, self.dropout(clean)
