# Copyright (c) mmreid contributors. All rights reserved.
"""Cross entropy with smoothed labels, in both conventions that re-ID uses."""

from torch import Tensor, nn

from mmreid.registry import MODELS

SPREADS = ('all', 'others')


@MODELS.register_module()
class SmoothedCrossEntropyLoss(nn.Module):
    """Cross entropy with label smoothing, spread over all K classes or over the K - 1 others.

    Over all, each class gets eps / K, the true one too, as in torchreid, CM-NAS and MMPretrain's ``LabelSmoothLoss``
    with mode ``'original'``. Over the others, each of them gets eps / (K - 1) and the true class keeps 1 - eps, as in
    fast-reid.

    Args:
        label_smooth_val (float): eps. Defaults to 0.1.
        spread (str): ``'all'`` or ``'others'``. Defaults to ``'all'``.
        adaptive (float, optional): Instead of ``label_smooth_val``, the eps of an image is this factor times the
            probability of its true class (fast-reid with ``EPSILON = -1``). Defaults to None.
        loss_weight (float): Defaults to 1.

    Raises:
        ValueError: If ``spread`` is unknown or the smoothing lies outside [0, 1).
    """

    def __init__(
        self,
        label_smooth_val: float = 0.1,
        spread: str = 'all',
        adaptive: float | None = None,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__()
        if spread not in SPREADS:
            raise ValueError(f'spread={spread!r} of SmoothedCrossEntropyLoss is unknown; use one of {SPREADS}')
        name, smoothing = ('label_smooth_val', label_smooth_val) if adaptive is None else ('adaptive', adaptive)
        if not 0 <= smoothing < 1:
            raise ValueError(f'{name}={smoothing} of SmoothedCrossEntropyLoss must lie in [0, 1)')
        self.label_smooth_val = label_smooth_val
        self.spread = spread
        self.adaptive = adaptive
        self.loss_weight = loss_weight

    def forward(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Computes the loss of logits (N, K) with labels (N,); a scalar."""
        log_prob = scores.float().log_softmax(1)
        true = log_prob.gather(1, labels[:, None]).squeeze(1)
        eps = self.label_smooth_val if self.adaptive is None else self.adaptive * true.detach().exp()
        if self.spread == 'others':
            # The mean over all classes includes the true one; this takes its part back.
            classes = scores.shape[1]
            eps = eps * classes / max(1, classes - 1)
        return -self.loss_weight * ((1 - eps) * true + eps * log_prob.mean(1)).mean()
