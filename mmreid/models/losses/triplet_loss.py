# Copyright (c) mmreid contributors. All rights reserved.
"""Triplet losses: the hardest positive and negative of each anchor, or all of them, weighted."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmreid.models.utils.distance import euclidean_distance, squared_euclidean_distance
from mmreid.registry import MODELS

from .batch_pairs import BatchPairs, batch_pairs
from .masked_mean import masked_mean
from .pair_loss import DistanceLoss


@MODELS.register_module()
class TripletLoss(DistanceLoss):
    """Batch-hard triplet loss (Hermans et al., arXiv 1703.07737, equation 5).

    An anchor counts when the batch holds another image of its identity and one of another identity; the loss is the
    mean over these anchors, and zero (with a graph) when there is none.

    Args:
        margin (float, optional): Hinge margin, 0 included; None takes the soft margin ``log(1 + exp(d_p - d_n))``,
            which fast-reid selects with a margin of 0. Defaults to 0.3.
        normalize (bool): L2-normalize the embeddings first. Defaults to False.
        squared (bool): Compare squared distances. Together with ``normalize`` these are ``2 - 2 cos``, as in
            fast-reid's ``NORM_FEAT``. Defaults to False.
        gather (bool): Mine over the batches of all ranks, with gradient, so that N ranks with batch B equal one rank
            with batch N x B. Defaults to False.
        loss_weight (float): Defaults to 1.

    Raises:
        ValueError: If the margin is negative.
    """

    def __init__(
        self,
        margin: float | None = 0.3,
        normalize: bool = False,
        squared: bool = False,
        gather: bool = False,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(margin, normalize, loss_weight)
        self.squared = squared
        self.distance = squared_euclidean_distance if squared else euclidean_distance
        self.gather = gather

    def forward(self, feats: Tensor, labels: Tensor) -> Tensor:
        """Computes the loss of embeddings (N, D) with labels (N,); a scalar."""
        feats = self.prepare(feats)
        pairs = batch_pairs(feats, labels, self.gather)
        positive, negative = self.distances(self.distance(feats, pairs.others), pairs)
        return self.loss_weight * masked_mean(self.hinge(positive - negative), pairs.valid, self.gather)

    def distances(self, distance: Tensor, pairs: BatchPairs) -> tuple[Tensor, Tensor]:
        """Returns the distances (N,) of farthest positive and nearest negative; any value for invalid anchors."""
        farthest = distance.masked_fill(~pairs.positive, float('-inf')).amax(1)
        nearest = distance.masked_fill(pairs.same, float('inf')).amin(1)
        return farthest, nearest


@MODELS.register_module()
class WeightedTripletLoss(TripletLoss):
    """Weighted regularized triplet loss of AGW (Ye et al., arXiv 2001.04193, section 4).

    Instead of the hardest, all positives and all negatives count: softmax weights of the distances favor far positives
    and near negatives. As in the authors' code, the anchor itself is among its positives, at distance 0.

    Args:
        margin (float, optional): See :class:`TripletLoss`. Defaults to None: the soft margin, as published.
        eps (float): Added to the sum of ``exp(-d)`` over the negatives. The authors' code and fast-reid use 1e-6: it
            makes negatives beyond a distance of about 10 count as nearer than they are, and those beyond 20 hardly at
            all. The published formula has 0, which suits embeddings of any size. Defaults to 1e-6.
        alpha (float): Factor on the distances that the softmax is taken of; a large one approaches the hardest
            positive and negative. Defaults to 1.
        gamma (float): Factor on the gap between the two weighted distances. Defaults to 1.
        **kwargs: See :class:`TripletLoss`.

    Raises:
        ValueError: If a factor is not positive.
    """

    def __init__(
        self, margin: float | None = None, eps: float = 1e-6, alpha: float = 1.0, gamma: float = 1.0, **kwargs
    ) -> None:
        super().__init__(margin, **kwargs)
        if not alpha > 0 or not gamma > 0:
            raise ValueError(f'alpha={alpha} and gamma={gamma} of {type(self).__name__} must be above 0')
        self.eps, self.alpha, self.gamma = eps, alpha, gamma

    def hinge(self, gap: Tensor) -> Tensor:
        """Returns the loss of each gap, weighted positive minus weighted negative distance; any shape."""
        return super().hinge(self.gamma * gap)

    def distances(self, distance: Tensor, pairs: BatchPairs) -> tuple[Tensor, Tensor]:
        """Returns the weighted distances of the positives and of the negatives of each anchor, each (N,)."""
        lowest = torch.finfo(distance.dtype).min  # an infinity would make rows without any negative NaN
        scaled = self.alpha * distance
        of_positives = scaled.masked_fill(~pairs.same, lowest).softmax(1)
        log_weights = (-scaled).masked_fill(pairs.same, lowest)
        log_sum = log_weights.logsumexp(1, keepdim=True)
        if self.eps:
            log_sum = torch.logaddexp(log_sum, torch.full_like(log_sum, self.eps).log())
        of_negatives = (log_weights - log_sum).exp()
        return (of_positives * distance).sum(1), (of_negatives * distance).sum(1)


@MODELS.register_module()
class SquaredDifferenceTripletLoss(WeightedTripletLoss):
    """Weighted triplet loss of the squared gap, with its sign: the "enhanced squared difference" of CAJ.

    (Ye et al., Channel Augmented Joint Learning, ICCV 2021.) ``log(1 + exp(s))``, where ``s`` is ``gamma * gap^2`` for
    an anchor whose positives are farther than its negatives, and minus that otherwise. So it pushes hard where an
    anchor is wrong by much, and hardly where it is just right or wrong.

    Args:
        max_square (float): Largest ``gamma * gap^2``; an anchor beyond it has no gradient. The authors' code has it
            so that nothing overflows, which cannot happen here; ``float('inf')`` trains those anchors too. Defaults
            to 88.
        **kwargs: See :class:`WeightedTripletLoss`.

    Raises:
        ValueError: If there is a margin, or ``max_square`` is not positive.
    """

    def __init__(self, max_square: float = 88.0, **kwargs) -> None:
        super().__init__(**kwargs)
        if self.margin is not None or not max_square > 0:
            raise ValueError(
                f'margin={self.margin} and max_square={max_square} of {type(self).__name__}: it has no margin, and '
                'squares up to a positive number'
            )
        self.max_square = max_square

    def hinge(self, gap: Tensor) -> Tensor:
        """Returns the loss of each gap, weighted positive minus weighted negative distance; any shape."""
        square = (self.gamma * gap.square()).clamp_max(self.max_square)
        return F.softplus(square.where(gap > 0, -square))
