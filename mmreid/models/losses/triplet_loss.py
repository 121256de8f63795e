# Copyright (c) mmreid contributors. All rights reserved.
"""Triplet losses: the hardest positive and negative of each anchor, or all of them, weighted."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmreid.models.utils.distance import euclidean_distance, squared_euclidean_distance
from mmreid.registry import MODELS

from .batch_pairs import BatchPairs, batch_pairs


@MODELS.register_module()
class TripletLoss(nn.Module):
    """Batch-hard triplet loss (Hermans et al., arXiv 1703.07737, equation 5).

    An anchor counts when the batch holds another image of its identity and one of another identity; the loss is the
    mean over these anchors, and zero (with a graph) when there is none.

    Args:
        margin (float | None): Hinge margin, 0 included; None takes the soft margin ``log(1 + exp(d_p - d_n))``, which
            fast-reid means by a margin of 0. Defaults to 0.3.
        normalize (bool): L2-normalize the embeddings first. Defaults to False.
        squared (bool): Compare squared distances. Together with ``normalize`` these are ``2 - 2 cos``, as in
            fast-reid's ``NORM_FEAT``. Defaults to False.
        gather (bool): Mine over the batches of all ranks, with gradient, so that N ranks with batch B equal one rank
            with batch N x B. Defaults to False.
        loss_weight (float): Defaults to 1.

    Raises:
        ValueError: If the margin is negative.
    """

    #: Whether it is zero where no image of a batch has both another of its identity and one of another identity.
    needs_pairs = True

    def __init__(
        self,
        margin: float | None = 0.3,
        normalize: bool = False,
        squared: bool = False,
        gather: bool = False,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__()
        if margin is not None and margin < 0:
            raise ValueError(
                f'margin={margin} of {type(self).__name__} must not be negative; use None for the soft margin'
            )
        self.margin = margin
        self.normalize = normalize
        self.squared = squared
        self.distance = squared_euclidean_distance if squared else euclidean_distance
        self.gather = gather
        self.loss_weight = loss_weight

    def forward(self, feats: Tensor, labels: Tensor) -> Tensor:
        """Computes the loss.

        Args:
            feats (Tensor): Embeddings, shape (N, D).
            labels (Tensor): Shape (N,), int64.

        Returns:
            Tensor: Scalar.
        """
        feats = feats.float()
        if self.normalize:
            feats = F.normalize(feats, dim=1)
        pairs = batch_pairs(feats, labels, self.gather)
        if not pairs.valid.any():
            return pairs.others.sum() * 0
        positive, negative = self.distances(self.distance(feats, pairs.others), pairs)
        gap = (positive - negative)[pairs.valid]
        losses = F.softplus(gap) if self.margin is None else F.relu(gap + self.margin)
        return self.loss_weight * losses.mean()

    def distances(self, distance: Tensor, pairs: BatchPairs) -> tuple[Tensor, Tensor]:
        """Finds how far the positives and the negatives of each anchor are.

        Args:
            distance (Tensor): Of each anchor to each image, shape (N, M).
            pairs (BatchPairs): Which are positives.

        Returns:
            tuple[Tensor, Tensor]: Distances of the farthest positive and of the nearest negative, each (N,); what
            they are for anchors that are not valid does not matter.
        """
        farthest = distance.masked_fill(~pairs.positive, float('-inf')).amax(1)
        nearest = distance.masked_fill(pairs.same, float('inf')).amin(1)
        return farthest, nearest


@MODELS.register_module()
class WeightedTripletLoss(TripletLoss):
    """Weighted regularized triplet loss of AGW (Ye et al., arXiv 2001.04193, section 4).

    In place of the hardest, all positives and all negatives count: softmax weights of the distances favor far
    positives and near negatives. As in the authors' code, the anchor itself stands among its positives, at distance 0.

    Args:
        margin (float | None): See :class:`TripletLoss`. Defaults to None: the soft margin, as published.
        eps (float): Added to the sum of ``exp(-d)`` over the negatives. The authors' code and fast-reid have 1e-6; it
            lets negatives beyond a distance of about 10 count as nearer than they are, and those beyond 20 hardly at
            all. The published formula has 0, which suits embeddings of any size. Defaults to 1e-6.
        **kwargs: See :class:`TripletLoss`.
    """

    def __init__(self, margin: float | None = None, eps: float = 1e-6, **kwargs) -> None:
        super().__init__(margin, **kwargs)
        self.eps = eps

    def distances(self, distance: Tensor, pairs: BatchPairs) -> tuple[Tensor, Tensor]:
        """Weighs the positives and the negatives of each anchor; arguments as in :meth:`TripletLoss.distances`."""
        lowest = torch.finfo(distance.dtype).min  # an infinity would make rows without any negative NaN
        of_positives = distance.masked_fill(~pairs.same, lowest).softmax(1)
        log_weights = (-distance).masked_fill(pairs.same, lowest)
        log_sum = log_weights.logsumexp(1, keepdim=True)
        if self.eps:
            log_sum = torch.logaddexp(log_sum, torch.full_like(log_sum, self.eps).log())
        of_negatives = (log_weights - log_sum).exp()
        return (of_positives * distance).sum(1), (of_negatives * distance).sum(1)
