# Copyright (c) mmreid contributors. All rights reserved.
"""Focal loss over exclusive classes."""

from torch import Tensor, nn

from mmreid.registry import MODELS


@MODELS.register_module()
class FocalLoss(nn.Module):
    """Cross entropy with less weight on easy images: ``-alpha (1 - p)^gamma log p`` (arXiv 1708.02002).

    The probability ``p`` of the true class is a softmax over all classes, as in fast-reid, and ``alpha`` weights all
    classes equally. (``mmpretrain.FocalLoss`` takes a sigmoid of each class.)

    Args:
        alpha (float): Defaults to 0.25.
        gamma (float): 0 is plain cross entropy, times alpha. Defaults to 2.
        loss_weight (float): Defaults to 1.

    Raises:
        ValueError: If gamma is negative.
    """

    def __init__(self, alpha: float = 0.25, gamma: float = 2.0, loss_weight: float = 1.0) -> None:
        super().__init__()
        if gamma < 0:
            raise ValueError(f'gamma={gamma} of FocalLoss must not be negative')
        self.alpha = alpha
        self.gamma = gamma
        self.loss_weight = loss_weight

    def forward(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Computes the loss of logits (N, K) with labels (N,); a scalar."""
        log_prob = scores.float().log_softmax(1).gather(1, labels[:, None])
        # Below the resolution of float32; keeps the gradient finite where gamma < 1 and the probability is 1.
        doubt = (1 - log_prob.exp()).clamp_min(1e-8)
        return -self.loss_weight * self.alpha * (doubt**self.gamma * log_prob).mean()
