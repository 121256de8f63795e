# Copyright (c) mmreid contributors. All rights reserved.
"""Classifiers on the cosine of embedding and class, with a margin in training."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmreid.models.losses.cosine_pair_losses import circle_logits
from mmreid.models.utils.precision import full_precision
from mmreid.registry import MODELS


class MarginClassifier(nn.Linear):
    """Base: scores are ``scale * cosine``, in float32 even under autocast.

    :meth:`forward` has no margin: a head adds it in training with :meth:`with_margin`, so accuracy and testing use the
    plain scores. (MMPretrain only has a complete ArcFace head, whose gradient is not finite where an embedding points
    exactly at its class.)

    Args:
        in_channels (int): Size of the embedding.
        num_classes (int): Number of training identities.
        scale (float): Scale of the cosines.
        margin (float): By how much the true class must win; the unit depends on the kind of margin.

    Raises:
        ValueError: If the margin is negative or the scale not positive.
    """

    def __init__(self, in_channels: int, num_classes: int, scale: float, margin: float) -> None:
        if margin < 0 or scale <= 0:
            raise ValueError(f'margin={margin} of {type(self).__name__} must be at least 0, and scale={scale} above 0')
        super().__init__(in_channels, num_classes, bias=False)
        self.scale = scale
        self.margin = margin

    def init_weights(self) -> None:
        """Draws the weights; only their direction matters, but short ones turn faster (0.01 as in fast-reid)."""
        nn.init.normal_(self.weight, std=0.01)

    def forward(self, feats: Tensor) -> Tensor:
        """Scores embeddings (N, in_channels) without margin: (N, num_classes), float32."""
        with full_precision(feats):
            feats, weight = F.normalize(feats.float(), dim=1), F.normalize(self.weight.float(), dim=1)
            return self.scale * F.linear(feats, weight)

    def with_margin(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Applies the margin to scores (N, num_classes) of :meth:`forward`, given the true classes (N,), int64."""
        cosine, index = scores / self.scale, labels[:, None]
        return self.scale * self.of_others(cosine).scatter(1, index, self.of_true(cosine.gather(1, index)))

    def of_true(self, cosine: Tensor) -> Tensor:
        """Returns the value that replaces the cosine of the true class, (N, 1) to (N, 1)."""
        raise NotImplementedError

    def of_others(self, cosine: Tensor) -> Tensor:
        """Returns the values that replace the cosines of the other classes, (N, num_classes)."""
        return cosine


@MODELS.register_module()
class CosFaceClassifier(MarginClassifier):
    """CosFace, also known as AM-Softmax: ``cos - m`` for the true class (arXiv 1801.09414 and 1801.05599).

    With ``margin=0`` it is a plain softmax on cosines.

    Args:
        in_channels (int): Size of the embedding.
        num_classes (int): Number of training identities.
        scale (float): Defaults to 30.
        margin (float): Difference of cosines. Defaults to 0.35.
    """

    def __init__(self, in_channels: int, num_classes: int, scale: float = 30.0, margin: float = 0.35) -> None:
        super().__init__(in_channels, num_classes, scale, margin)

    def of_true(self, cosine: Tensor) -> Tensor:
        """Subtracts the margin."""
        return cosine - self.margin


@MODELS.register_module()
class ArcFaceClassifier(MarginClassifier):
    """ArcFace: ``cos(angle + m)`` for the true class (arXiv 1801.07698).

    If angle plus margin exceed 180 degrees, ``cos - m sin m`` takes its place, which keeps falling, as in the authors'
    code (in fast-reid it rises again).

    Args:
        in_channels (int): Size of the embedding.
        num_classes (int): Number of training identities.
        scale (float): Defaults to 64.
        margin (float): In radians. Defaults to 0.5.
    """

    def __init__(self, in_channels: int, num_classes: int, scale: float = 64.0, margin: float = 0.5) -> None:
        super().__init__(in_channels, num_classes, scale, margin)

    def of_true(self, cosine: Tensor) -> Tensor:
        """Adds the margin to the angle."""
        sine = (1 - cosine.square()).clamp_min(1e-12).sqrt()  # the clamp keeps the gradient finite
        turned = cosine * math.cos(self.margin) - sine * math.sin(self.margin)
        fallen = cosine - self.margin * math.sin(self.margin)
        return torch.where(cosine > -math.cos(self.margin), turned, fallen)


@MODELS.register_module()
class CircleClassifier(MarginClassifier):
    """Circle loss with classes in place of pairs (arXiv 2002.10857, section 3.2).

    Args:
        in_channels (int): Size of the embedding.
        num_classes (int): Number of training identities.
        scale (float): Gamma. Defaults to 64.
        margin (float): Relaxation m. Defaults to 0.25.
    """

    def __init__(self, in_channels: int, num_classes: int, scale: float = 64.0, margin: float = 0.25) -> None:
        super().__init__(in_channels, num_classes, scale, margin)

    def of_true(self, cosine: Tensor) -> Tensor:
        """Weighs by the distance to the optimum 1 + m."""
        return -circle_logits(cosine, self.margin, 1)[0]

    def of_others(self, cosine: Tensor) -> Tensor:
        """Weighs by the distance to the optimum -m."""
        return circle_logits(cosine, self.margin, 1)[1]
