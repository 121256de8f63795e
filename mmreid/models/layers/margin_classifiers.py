# Copyright (c) mmreid contributors. All rights reserved.
"""Classifiers on the cosine of embedding and class, which in training must win by a margin."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmreid.models.losses.cosine_pair_losses import circle_logits
from mmreid.models.utils.precision import full_precision
from mmreid.registry import MODELS


class MarginClassifier(nn.Linear):
    """Base: scores are ``scale * cosine``, in float32 whatever the autocast says.

    The margin is no part of :meth:`forward`: a head adds it in training by :meth:`with_margin`, so that accuracy and
    tests see the plain scores. (MMPretrain has ArcFace as a whole head only, whose gradient is not finite where an
    embedding points exactly at its class.)

    Args:
        in_channels (int): Size of the embedding.
        num_classes (int): Number of training identities.
        scale (float): Scale of the cosines.
        margin (float): What the true class must win by; its unit depends on the kind of margin.

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
        """Draws the weights; only their direction counts, but shorter ones turn faster (0.01 as in fast-reid)."""
        nn.init.normal_(self.weight, std=0.01)

    def forward(self, feats: Tensor) -> Tensor:
        """Scores embeddings, shape (N, in_channels), without margin: (N, num_classes), float32."""
        with full_precision(feats):
            feats, weight = F.normalize(feats.float(), dim=1), F.normalize(self.weight.float(), dim=1)
            return self.scale * F.linear(feats, weight)

    def with_margin(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Makes training harder.

        Args:
            scores (Tensor): What :meth:`forward` gave, (N, num_classes).
            labels (Tensor): True classes, (N,), int64.

        Returns:
            Tensor: The scores that the loss is to see, (N, num_classes).
        """
        cosine, index = scores / self.scale, labels[:, None]
        return self.scale * self.of_others(cosine).scatter(1, index, self.of_true(cosine.gather(1, index)))

    def of_true(self, cosine: Tensor) -> Tensor:
        """Gives what stands for the cosine of the true class, (N, 1) to (N, 1)."""
        raise NotImplementedError

    def of_others(self, cosine: Tensor) -> Tensor:
        """Gives what stands for the cosines of the other classes, (N, num_classes); the cosines unless overridden."""
        return cosine


@MODELS.register_module()
class CosFaceClassifier(MarginClassifier):
    """CosFace, also known as AM-Softmax: ``cos - m`` for the true class (arXiv 1801.09414 and 1801.05599).

    With ``margin=0`` it is a plain softmax on cosines.

    Args:
        in_channels (int): Size of the embedding.
        num_classes (int): Number of training identities.
        scale (float): Defaults to 30.
        margin (float): In cosines. Defaults to 0.35.
    """

    def __init__(self, in_channels: int, num_classes: int, scale: float = 30.0, margin: float = 0.35) -> None:
        super().__init__(in_channels, num_classes, scale, margin)

    def of_true(self, cosine: Tensor) -> Tensor:
        """Takes the margin off."""
        return cosine - self.margin


@MODELS.register_module()
class ArcFaceClassifier(MarginClassifier):
    """ArcFace: ``cos(angle + m)`` for the true class (arXiv 1801.07698).

    Where angle and margin exceed 180 degrees, ``cos - m sin m`` takes its place, which goes on falling, as in the
    authors' code (fast-reid lets it rise again there).

    Args:
        in_channels (int): Size of the embedding.
        num_classes (int): Number of training identities.
        scale (float): Defaults to 64.
        margin (float): In radians. Defaults to 0.5.
    """

    def __init__(self, in_channels: int, num_classes: int, scale: float = 64.0, margin: float = 0.5) -> None:
        super().__init__(in_channels, num_classes, scale, margin)

    def of_true(self, cosine: Tensor) -> Tensor:
        """Turns the embedding away by the margin."""
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
        """Weighs by what is missing to the optimum 1 + m."""
        return -circle_logits(cosine, self.margin, 1)[0]

    def of_others(self, cosine: Tensor) -> Tensor:
        """Weighs by what is too much against the optimum -m."""
        return circle_logits(cosine, self.margin, 1)[1]
