# Copyright (c) mmreid contributors. All rights reserved.
"""Batch norms with the statistics of small batches inside a large one, as when several GPUs share the batch."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmreid.registry import MODELS


class _GhostBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Base of the ghost batch norms (Hoffer et al., Train longer, generalize better, NeurIPS 2017).

    In training, a batch is cut into parts of ``ghost_size`` images or a few more, and each is normalized by its own
    statistics. The running statistics move toward the mean of the parts.

    Args:
        num_features (int): Channels.
        ghost_size (int): Images whose statistics are taken together.
        **kwargs: See :class:`torch.nn.BatchNorm2d`; ``momentum`` must be a number.

    Raises:
        ValueError: If ``ghost_size`` is below 2.
    """

    _abbr_ = 'bn'

    def __init__(self, num_features: int, ghost_size: int, **kwargs) -> None:
        super().__init__(num_features, **kwargs)
        if ghost_size < 2:
            raise ValueError(f'ghost_size={ghost_size} of {type(self).__name__} must be at least 2')
        self.ghost_size = ghost_size

    def forward(self, x: Tensor, blocks: Sequence[int] | None = None) -> Tensor:
        """Normalizes a batch (N, C, ...), or one of several blocks, of which each part has ``ghost_size`` images each.

        The sizes of the ``blocks`` add up to N.
        """
        sizes = [size for size in blocks or [len(x)] if size]
        count = max(1, min(sizes) // self.ghost_size)
        pieces = [block.tensor_split(count) for block in x.split(sizes)]
        parts = [torch.cat(share) if len(share) > 1 else share[0] for share in zip(*pieces, strict=True)]
        if len(parts) == 1 or not self.training or not self.track_running_stats:
            return super().forward(x)
        self._check_input_dim(x)
        means, variances = ([running.clone() for _ in parts] for running in (self.running_mean, self.running_var))
        rest = (self.weight, self.bias, True, self.momentum, self.eps)
        normalized = [F.batch_norm(*given, *rest) for given in zip(parts, means, variances, strict=True)]
        self.num_batches_tracked.add_(1)
        self.running_mean.copy_(torch.stack(means).mean(0))
        self.running_var.copy_(torch.stack(variances).mean(0))
        if len(sizes) == 1:
            return torch.cat(normalized)
        shares = zip(normalized, zip(*pieces, strict=True), strict=True)
        back = [part.split([len(piece) for piece in share]) for part, share in shares]
        return torch.cat([piece for block in zip(*back, strict=True) for piece in block])

    def extra_repr(self) -> str:
        """Names the size too."""
        return f'{super().extra_repr()}, ghost_size={self.ghost_size}'


@MODELS.register_module()
class GhostBN2d(_GhostBatchNorm, nn.BatchNorm2d):
    """Ghost batch norm of maps (N, C, H, W), e.g. ``norm_cfg=dict(type='mmreid.GhostBN2d', ghost_size=64)``.

    Args:
        num_features (int): C.
        ghost_size (int): Images whose statistics are taken together, the batch of one GPU in the setting to follow.
        **kwargs: See :class:`torch.nn.BatchNorm2d`.

    Raises:
        ValueError: If ``ghost_size`` is below 2.
    """


@MODELS.register_module()
class GhostBN1d(_GhostBatchNorm, nn.BatchNorm1d):
    """Ghost batch norm of embeddings (N, C); see :class:`GhostBN2d`.

    Args:
        num_features (int): C.
        ghost_size (int): Images whose statistics are taken together.
        **kwargs: See :class:`torch.nn.BatchNorm1d`.

    Raises:
        ValueError: If ``ghost_size`` is below 2.
    """
