# Copyright (c) mmreid contributors. All rights reserved.
"""The losses of ECN: classify source identities, and be invariant on target images."""

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import nn

from mmreid.models.memories import ExemplarMemory, MemorySimilarity
from mmreid.models.utils.precision import full_precision
from mmreid.registry import MODELS
from mmreid.utils.run_fraction import check_fraction


@MODELS.register_module()
class InvarianceHead(BaseModule):
    """Source classifier and the three invariances of the target (Zhong et al., ECN, CVPR 2019, sections 3.3 and 3.4).

    Exemplar: a target image is drawn to its own slot of the memory and pushed from all others. Camera: so is its copy
    in the style of another camera (those with ``styled``). Neighborhood: it is drawn to the slots that are most like
    it. The own slot weighs 1 and each neighbor 1/k, where the own slot counts among the k; as published, the weights
    do not sum to 1.

    Args:
        in_channels (int): Size of the embedding.
        num_classes (int, optional): Number of source identities; the runner fills it in. Defaults to None.
        memory (dict, optional): Config of the memory; None for a head that learns from the source alone. Defaults to
            None.
        loss_cls (dict): Classification loss. Defaults to plain cross entropy.
        exemplar (bool): Whether target images as they are are drawn to their own slots. Defaults to True.
        camera (bool): Whether copies in the style of another camera are. Defaults to True.
        neighborhood (bool): Whether there are neighbors. Defaults to True.
        temperature (float): beta of the paper. Defaults to 0.05.
        k (int): Nearest slots, the own one included. Defaults to 6.
        neighbors (dict, optional): Config of what chooses neighbors, e.g. ``dict(type='GraphPositivePrediction')``.
            Defaults to None: ``NearestNeighbors`` with ``k``.
        neighbor_epoch (int or float): First epoch with neighbors, from 0; a float is a fraction of ``max_epochs``.
            Defaults to 5: the sixth epoch.
        normalize_targets (bool): Let the weights of a row sum to 1. Defaults to False.
        target_weight (float): lambda of the paper: the loss is (1 - lambda) source + lambda target. Defaults to 0.3.
        dropout (float): Of both branches. Defaults to 0.5.
        update_with (str): What the memory gets: ``'dropped'``, the feature after dropout, as in the official code, or
            ``'clean'``. Defaults to ``'dropped'``.
        init_cfg (dict, optional): Defaults to normal weights of standard deviation 0.001.

    Attributes:
        epoch (int): The running epoch, from 0; ``MemoryUpdateHook`` sets it.
        first_neighbor_epoch (int, optional): ``neighbor_epoch`` in epochs; ``MemoryUpdateHook`` counts a fraction.
        pending (tuple, optional): Features and slots of the last step, which wait for ``MemoryUpdateHook``.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int | None = None,
        memory: dict | None = None,
        loss_cls: dict = dict(type='mmpretrain.CrossEntropyLoss'),  # noqa: B006
        exemplar: bool = True,
        camera: bool = True,
        neighborhood: bool = True,
        temperature: float = 0.05,
        k: int = 6,
        neighbors: dict | None = None,
        neighbor_epoch: int | float = 5,
        normalize_targets: bool = False,
        target_weight: float = 0.3,
        dropout: float = 0.5,
        update_with: str = 'dropped',
        init_cfg: dict | None = dict(type='Normal', layer='Linear', std=0.001),  # noqa: B006
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if not 0 <= target_weight <= 1:
            raise ValueError(f'target_weight={target_weight} of InvarianceHead must lie in [0, 1]')
        if temperature <= 0 or (neighborhood and k < 1):
            raise ValueError(f'temperature={temperature} of InvarianceHead must be above 0, and k={k} at least 1')
        if memory and not (exemplar or camera or neighborhood):
            raise ValueError(
                'exemplar=camera=neighborhood=False of InvarianceHead leave a memory nothing to learn; set memory=None'
            )
        if update_with not in ('dropped', 'clean'):
            raise ValueError(f"update_with={update_with!r} of InvarianceHead is unknown; use 'dropped' or 'clean'")
        if neighbors and not (memory and neighborhood):
            raise ValueError(
                f'neighbors={neighbors["type"]!r} of InvarianceHead have no use without a memory or with '
                'neighborhood=False; leave them out'
            )
        self.num_classes = num_classes
        self.exemplar, self.camera, self.neighborhood = exemplar, camera, neighborhood
        check_fraction(neighbor_epoch, 'neighbor_epoch of InvarianceHead')
        self.temperature, self.neighbor_epoch = temperature, neighbor_epoch
        self.first_neighbor_epoch = None if isinstance(neighbor_epoch, float) else neighbor_epoch
        self.normalize_targets = normalize_targets
        self.target_weight = target_weight
        self.dropout = nn.Dropout(dropout)
        self.update_with = update_with
        self.loss_cls = MODELS.build(loss_cls)
        self.memory = MODELS.build(dict(memory, feat_dim=in_channels)) if memory else None
        neighbors = neighbors or dict(type='mmreid.NearestNeighbors', k=k)
        self.neighbors = MODELS.build(dict(neighbors, feat_dim=in_channels)) if memory and neighborhood else None
        if self.source_memory is not None and not isinstance(self.memory, ExemplarMemory):
            raise ValueError(
                f'neighbors={neighbors["type"]!r} need slots of all target images, but the memory is a '
                f"{type(self.memory).__name__}; use memory=dict(type='ExemplarMemory')"
            )
        self.classifier = nn.Linear(in_channels, num_classes) if num_classes else None
        self.epoch = 0
        self.pending: tuple[torch.Tensor, torch.Tensor] | None = None

    @property
    def source_memory(self) -> ExemplarMemory | None:
        """ExemplarMemory, optional: That of neighbors which are learned on the source."""
        return getattr(self.neighbors, 'memory', None)

    def source_loss(
        self, feats: torch.Tensor, labels: torch.Tensor, slots: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        """Classifies source images, and lets neighbors that are learned learn from them.

        Args:
            feats (torch.Tensor): Embeddings after the batch norm, shape (N, D).
            labels (torch.Tensor): Contiguous labels, shape (N,), int64.
            slots (torch.Tensor, optional): Which source image each row shows, shape (N,), int64; only neighbors that
                are learned ask for it. Defaults to None.

        Returns:
            dict[str, torch.Tensor]: ``loss_source``, weighted unless there is no memory, ``acc`` in percent, and what
            learned neighbors add.
        """
        if self.classifier is None:
            raise RuntimeError(
                'the number of identities is unknown, so there is no classifier to train; train through '
                'tools/train.py, which counts them in the training data, or set model.head.num_classes'
            )
        scores = self.classifier(self.dropout(F.relu(feats))).float()
        weight = 1 - self.target_weight if self.memory is not None else 1.0
        accuracy = (scores.argmax(1) == labels).float().mean() * 100
        results = dict(loss_source=weight * self.loss_cls(scores, labels), acc=accuracy)
        if self.source_memory is not None:
            with full_precision(feats):
                clean, dropped = self._clean_and_dropped(feats.detach())
                results.update(self.neighbors.source_loss(clean, slots))
            if self.training:
                self.neighbors.pending = (dropped if self.update_with == 'dropped' else clean, slots)
        return results

    def _clean_and_dropped(self, feats: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        clean = F.normalize(feats.float(), dim=1)
        return clean, self.dropout(clean)

    def target_loss(
        self, feats: torch.Tensor, slots: torch.Tensor, styled: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        """Compares target images with the memory, and keeps what it is to be updated with.

        Args:
            feats (torch.Tensor): Embeddings after the batch norm, shape (N, D).
            slots (torch.Tensor): Which target image each row shows, shape (N,), int64.
            styled (torch.Tensor, optional): Rows in the style of another camera, shape (N,), bool. Defaults to none.

        Returns:
            dict[str, torch.Tensor]: ``loss_target``, weighted, and ``own_prob``, the mean probability of the own slot.

        Raises:
            RuntimeError: If there is no memory, or it did not get the features of the step before.
        """
        if self.memory is None:
            raise RuntimeError('the batch has target images, but model.head.memory is None; give it a memory')
        if self.training and self.pending is not None:
            raise RuntimeError(
                "the exemplar memory was not updated after the last step; add dict(type='MemoryUpdateHook') to "
                'custom_hooks'
            )
        with full_precision(feats):  # mixed precision overflows on the way through small norms
            clean, dropped = self._clean_and_dropped(feats)
            memory, own = self.memory.of_batch(clean, slots)
            similarity = memory.compare(dropped, self.temperature)
            chosen, weights = self.targets(similarity, own, styled, clean.detach())
            loss = similarity.cross_entropy(chosen, weights).mean()
            with torch.no_grad():
                own_prob = (-similarity.cross_entropy(own[:, None], torch.ones_like(weights[:, :1]))).exp().mean()
        if self.training and memory is self.memory:
            update = dropped if self.update_with == 'dropped' else clean
            self.pending = (update.detach(), slots)
        return dict(loss_target=self.target_weight * loss, own_prob=own_prob)

    def targets(
        self,
        similarity: MemorySimilarity,
        own: torch.Tensor,
        styled: torch.Tensor | None = None,
        feats: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Chooses the slots that each row is drawn to.

        Args:
            similarity (MemorySimilarity): The batch against all slots.
            own (torch.Tensor): Own slot of each row, shape (N,), int64.
            styled (torch.Tensor, optional): Rows in the style of another camera, shape (N,), bool. Defaults to none.
            feats (torch.Tensor, optional): Features without dropout, shape (N, D). Defaults to those of ``similarity``.

        Returns:
            tuple[torch.Tensor, torch.Tensor]: Slots and weights, both (N, T), the own slot first.
        """
        styled = torch.zeros_like(own, dtype=torch.bool) if styled is None else styled
        slots = own[:, None]
        # Without any loss on its own slot a row has no own weight, and its neighbors keep theirs.
        weights = torch.where(styled, float(self.camera), float(self.exemplar))[:, None]
        if self.neighborhood and self.epoch >= self._first_neighbor_epoch():
            near, near_weights = self.neighbors.choose(similarity, own, similarity.feats if feats is None else feats)
            slots, weights = torch.cat([slots, near], 1), torch.cat([weights, near_weights], 1)
        if self.normalize_targets:
            weights = weights / weights.sum(1, keepdim=True).clamp_min(1e-12)
        return slots, weights

    def _first_neighbor_epoch(self) -> int:
        if self.first_neighbor_epoch is None:
            raise RuntimeError(
                f'neighbor_epoch={self.neighbor_epoch} of InvarianceHead is a fraction of a run whose length is '
                "unknown; add dict(type='MemoryUpdateHook') to custom_hooks"
            )
        return self.first_neighbor_epoch

    def take_pending(self) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Hands over what the memory is to be updated with, once.

        Returns:
            tuple[torch.Tensor, torch.Tensor], optional: Features (N, D) and slots (N,) of this rank's last step.
        """
        pending, self.pending = self.pending, None
        return pending
