# Copyright (c) mmreid contributors. All rights reserved.
"""Triplet loss with the hardest positive and negative of each anchor."""

import torch
import torch.nn.functional as F
from mmengine.dist import all_gather, get_rank
from torch import nn

from mmreid.models.utils.distance import euclidean_distance
from mmreid.models.utils.gather import gather_with_grad
from mmreid.registry import MODELS


@MODELS.register_module()
class TripletLoss(nn.Module):
    """Batch-hard triplet loss (Hermans et al., arXiv 1703.07737, equation 5).

    An anchor counts when the batch holds another image of its identity and one of another identity; the loss is the
    mean over these anchors, and zero (with a graph) when there is none.

    Args:
        margin (float | None): Hinge margin, 0 included; None takes the soft margin ``log(1 + exp(d_p - d_n))``.
            Defaults to 0.3.
        normalize (bool): L2-normalise the embeddings first. Defaults to False.
        gather (bool): Mine over the batches of all ranks, with gradient, so that N ranks with batch B equal one rank
            with batch N x B. Defaults to False.
        loss_weight (float): Defaults to 1.
    """

    def __init__(
        self,
        margin: float | None = 0.3,
        normalize: bool = False,
        gather: bool = False,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__()
        if margin is not None and margin < 0:
            raise ValueError(f'margin={margin} of TripletLoss must not be negative; use None for the soft margin')
        self.margin = margin
        self.normalize = normalize
        self.gather = gather
        self.loss_weight = loss_weight

    def forward(self, feats: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Computes the loss.

        Args:
            feats (torch.Tensor): Embeddings, shape (N, D).
            labels (torch.Tensor): Shape (N,), int64.

        Returns:
            torch.Tensor: Scalar.
        """
        feats = feats.float()
        if self.normalize:
            feats = F.normalize(feats, dim=1)
        others, other_labels, first = feats, labels, 0
        if self.gather:
            others, other_labels = gather_with_grad(feats), torch.cat(all_gather(labels))
            first = get_rank() * len(feats) if len(others) > len(feats) else 0
        distance = euclidean_distance(feats, others)
        same = labels[:, None] == other_labels
        itself = torch.arange(len(feats), device=feats.device)
        positive = same.clone()
        positive[itself, itself + first] = False

        farthest = distance.masked_fill(~positive, float('-inf')).amax(1)
        nearest = distance.masked_fill(same, float('inf')).amin(1)
        valid = positive.any(1) & ~same.all(1)
        if not valid.any():
            return others.sum() * 0
        gap = (farthest - nearest)[valid]
        losses = F.softplus(gap) if self.margin is None else F.relu(gap + self.margin)
        return self.loss_weight * losses.mean()
