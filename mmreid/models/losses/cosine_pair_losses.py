# Copyright (c) mmreid contributors. All rights reserved.
"""Losses on the cosines of all pairs of a batch: every positive against every negative of an anchor."""

import torch.nn.functional as F
from torch import Tensor

from mmreid.models.utils.precision import full_precision
from mmreid.registry import MODELS

from .batch_pairs import batch_pairs
from .masked_mean import masked_mean
from .pair_loss import PairLoss


class CosinePairLoss(PairLoss):
    """Base: ``log(1 + sum_p exp(logit_p) * sum_n exp(logit_n))``, the mean over the anchors.

    An anchor counts when the batch holds another image of its identity and one of another identity; the loss is zero
    (with a graph) when there is none.

    Args:
        margin (float): Margin, in cosines. Defaults to 0.25.
        gamma (float): Scale of the cosines. Defaults to 128.
        gather (bool): Pair with the batches of all ranks, with gradient, so that N ranks with batch B equal one rank
            with batch N x B. Defaults to False.
        loss_weight (float): Defaults to 1.

    Raises:
        ValueError: If the margin is negative or the scale not positive.
    """

    def __init__(
        self, margin: float = 0.25, gamma: float = 128.0, gather: bool = False, loss_weight: float = 1.0
    ) -> None:
        super().__init__()
        if margin < 0 or gamma <= 0:
            raise ValueError(f'margin={margin} of {type(self).__name__} must be at least 0, and gamma={gamma} above 0')
        self.margin = margin
        self.gamma = gamma
        self.gather = gather
        self.loss_weight = loss_weight

    def forward(self, feats: Tensor, labels: Tensor) -> Tensor:
        """Computes the loss of embeddings (N, D) with labels (N,); a scalar."""
        feats = F.normalize(feats.float(), dim=1)
        pairs = batch_pairs(feats, labels, self.gather)
        with full_precision(feats):
            cosine = feats @ pairs.others.t()
        pull, push = self.logits(cosine)
        pull = pull.masked_fill(~pairs.positive, float('-inf')).logsumexp(1)
        push = push.masked_fill(pairs.same, float('-inf')).logsumexp(1)
        return self.loss_weight * masked_mean(F.softplus(pull + push), pairs.valid, self.gather)

    def logits(self, cosine: Tensor) -> tuple[Tensor, Tensor]:
        """Turns cosines (N, M) into the logits of a pair as a positive and as a negative one, each (N, M)."""
        raise NotImplementedError


@MODELS.register_module()
class CircleLoss(CosinePairLoss):
    """Circle loss with pairs (Sun et al., arXiv 2002.10857, section 3): each pair at its own pace.

    Args:
        **kwargs: See :class:`CosinePairLoss`; ``margin`` is the relaxation m. Defaults to m = 0.25 and gamma = 128.
    """

    def logits(self, cosine: Tensor) -> tuple[Tensor, Tensor]:
        """Weights each cosine by how far it is from its optimum, 1 + m or -m."""
        return circle_logits(cosine, self.margin, self.gamma)


@MODELS.register_module()
class PairwiseCosFaceLoss(CosinePairLoss):
    """CosFace with pairs: pushes negatives to be ``margin`` less similar than positives, all at the same pace.

    This is the circle loss without its weights (Sun et al., arXiv 2002.10857, equation 3).

    Args:
        **kwargs: See :class:`CosinePairLoss`.
    """

    def logits(self, cosine: Tensor) -> tuple[Tensor, Tensor]:
        """Adds the margin."""
        return -self.gamma * cosine, self.gamma * (cosine + self.margin)


def circle_logits(cosine: Tensor, margin: float, scale: float) -> tuple[Tensor, Tensor]:
    """Returns logits that fall with the similarity of a positive pair, and that rise with that of a negative pair."""
    # Sun et al., arXiv 2002.10857, equations 5 to 8: the optima are 1 + m and -m, the decision boundaries 1 - m and m.
    # The weights set the pace, not the direction, so no gradient flows through them.
    weight_p = (1 + margin - cosine.detach()).clamp_min(0)
    weight_n = (margin + cosine.detach()).clamp_min(0)
    return -scale * weight_p * (cosine - (1 - margin)), scale * weight_n * (cosine - margin)
