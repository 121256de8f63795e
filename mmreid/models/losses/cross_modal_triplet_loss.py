# Copyright (c) mmreid contributors. All rights reserved.
"""Triplet loss within and across the two modalities of a batch."""

import torch
from torch import Tensor

from mmreid.models.utils.distance import euclidean_distance
from mmreid.registry import MODELS

from .masked_mean import masked_mean
from .pair_loss import DistanceLoss


@MODELS.register_module()
class CrossModalTripletLoss(DistanceLoss):
    """Mean of four batch-hard triplet losses: visible to visible, infrared to infrared, and both ways across.

    The anchor is of the first modality, its hardest positive and negative of the second (official CM-NAS code,
    ``losses/triplet_loss.py``). An anchor without a positive or a negative there is left out of its term.

    Args:
        margin (float, optional): Hinge margin, 0 included; None takes the soft margin. Defaults to 0.4.
        normalize (bool): L2-normalize the embeddings first. Defaults to False.
        loss_weight (float): Defaults to 1.
    """

    by_modality = True

    def __init__(self, margin: float | None = 0.4, normalize: bool = False, loss_weight: float = 1.0) -> None:
        super().__init__(margin, normalize, loss_weight)

    def forward(self, visible: Tensor, infrared: Tensor, visible_labels: Tensor, infrared_labels: Tensor) -> Tensor:
        """Computes the loss of visible (V, D) and infrared (I, D) embeddings with labels (V,) and (I,); a scalar."""
        return self.loss_weight * self.terms(visible, infrared, visible_labels, infrared_labels).mean()

    def terms(self, visible: Tensor, infrared: Tensor, visible_labels: Tensor, infrared_labels: Tensor) -> Tensor:
        """Returns visible to visible, infrared to infrared, visible to infrared, infrared to visible; shape (4,)."""
        visible, infrared = self.prepare(visible), self.prepare(infrared)
        v, i = (visible, visible_labels), (infrared, infrared_labels)
        return torch.stack([self._term(*v, *v, True), self._term(*i, *i, True), self._term(*v, *i), self._term(*i, *v)])

    def _term(
        self, anchors: Tensor, labels: Tensor, others: Tensor, other_labels: Tensor, same_images: bool = False
    ) -> Tensor:
        distance = euclidean_distance(anchors, others)
        same = labels[:, None] == other_labels
        positive = same & ~torch.eye(len(same), dtype=torch.bool, device=same.device) if same_images else same
        valid = positive.any(1) & ~same.all(1)
        farthest = distance.masked_fill(~positive, float('-inf')).amax(1)
        nearest = distance.masked_fill(same, float('inf')).amin(1)
        return masked_mean(self.hinge(farthest - nearest), valid)
