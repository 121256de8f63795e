# Copyright (c) mmreid contributors. All rights reserved.
"""The three invariances of ECN: which memory slots a target image is drawn to, and with what weights."""

import torch
from mmengine.model import BaseModule

from mmreid.models.memories import MemorySimilarity, Neighbors
from mmreid.registry import MODELS
from mmreid.utils.run_fraction import check_fraction, count_of_run


class TargetInvariance(BaseModule):
    """Chooses the slots that target images are drawn to (Zhong et al., ECN, CVPR 2019, sections 3.3 and 3.4).

    Exemplar: an image is drawn to its own slot. Camera: so is its copy in the style of another camera. Neighborhood:
    it is also drawn to the slots of its neighbors. The own slot has weight 1 and, by default, each of the k nearest
    slots 1/k, where the own slot counts among the k; as published, the weights do not sum to 1.

    Args:
        feat_dim (int): Size of a feature; the head fills it in.
        exemplar (bool): Whether real target images are drawn to their own slots. Defaults to True.
        camera (bool): Whether copies in the style of another camera are. Defaults to True.
        neighbors (dict, optional): Config of the module that chooses neighbors, by default a ``NearestNeighbors``, e.g.
            ``dict(k=6)`` or ``dict(type='GraphPositivePrediction')``; None for no neighbors. Defaults to ``dict()``.
        neighbor_epoch (int | float): First epoch with neighbors, from 0; a float is a fraction of ``max_epochs``.
            Defaults to 5: the sixth epoch.
        neighbor_precision (float, optional): Neighbors also wait until this fraction of those of labeled people who are
            not trained on is right, as ``NeighborStartHook`` measures. Defaults to None: they do not wait.
        normalize_targets (bool): Scale the weights of an image to sum to 1. Defaults to False.

    Attributes:
        epoch (int): The current epoch, from 0.
        waiting (bool): Whether neighbors still wait for ``neighbor_precision``.
        first_neighbor_epoch (int, optional): ``neighbor_epoch`` in epochs; None before a fraction was counted.

    Raises:
        ValueError: If all invariances are switched off, or an argument is out of range.
    """

    def __init__(
        self,
        feat_dim: int,
        exemplar: bool = True,
        camera: bool = True,
        neighbors: dict | None = dict(),  # noqa: B006
        neighbor_epoch: int | float = 5,
        neighbor_precision: float | None = None,
        normalize_targets: bool = False,
    ) -> None:
        super().__init__()
        if not (exemplar or camera or neighbors is not None):
            raise ValueError(
                'exemplar=False, camera=False, neighbors=None of InvarianceHead leave a memory nothing to learn; set '
                'memory=None'
            )
        self.exemplar, self.camera = exemplar, camera
        check_fraction(neighbor_epoch, 'neighbor_epoch of InvarianceHead')
        self.neighbor_epoch = neighbor_epoch
        self.first_neighbor_epoch = None if isinstance(neighbor_epoch, float) else neighbor_epoch
        if neighbor_precision is not None and not 0 < neighbor_precision < 1:
            raise ValueError(
                f'neighbor_precision={neighbor_precision} of InvarianceHead must lie between 0 and 1; None starts '
                'them at neighbor_epoch'
            )
        self.neighbor_precision = neighbor_precision
        self.waiting = neighbor_precision is not None
        self.epoch = 0
        self.normalize_targets = normalize_targets
        self.neighbors: Neighbors | None = None
        if neighbors is not None:
            self.neighbors = MODELS.build({'type': 'mmreid.NearestNeighbors', **neighbors, 'feat_dim': feat_dim})

    def start_run(self, max_epochs: int) -> int | None:
        """Counts the first epoch with neighbors, and returns it; None without neighbors."""
        name = 'model.head.invariance.neighbor_epoch'
        self.first_neighbor_epoch = count_of_run(self.neighbor_epoch, max_epochs, name)
        return self.first_neighbor_epoch if self.neighbors is not None else None

    @property
    def uses_neighbors(self) -> bool:
        """bool: Whether images are drawn to their neighbors in the current epoch."""
        return self.neighbors is not None and not self.waiting and self.epoch >= self._first_epoch()

    def targets(
        self,
        similarity: MemorySimilarity,
        own: torch.Tensor,
        styled: torch.Tensor | None = None,
        feats: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the slots that rows are drawn to and their weights, both (N, T), the own slot first.

        ``own`` and ``styled`` (rows in the style of another camera) are (N,); ``feats`` (N, D) are without dropout.
        """
        styled = torch.zeros_like(own, dtype=torch.bool) if styled is None else styled
        slots = own[:, None]
        # A row that is not drawn to its own slot keeps the weights of its neighbors.
        weights = torch.where(styled, float(self.camera), float(self.exemplar))[:, None]
        if self.uses_neighbors:
            near, near_weights = self.neighbors.choose(similarity, own, similarity.feats if feats is None else feats)
            slots, weights = torch.cat([slots, near], 1), torch.cat([weights, near_weights], 1)
        if self.normalize_targets:
            weights = weights / weights.sum(1, keepdim=True).clamp_min(1e-12)
        return slots, weights

    def _first_epoch(self) -> int:
        if self.first_neighbor_epoch is None:
            raise RuntimeError(
                f'neighbor_epoch={self.neighbor_epoch} of InvarianceHead is a fraction of a run whose length is '
                "unknown; add dict(type='MemoryUpdateHook') to custom_hooks"
            )
        return self.first_neighbor_epoch
