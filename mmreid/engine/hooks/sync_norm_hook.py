# Copyright (c) mmreid contributors. All rights reserved.
"""Averages the running statistics of normalization layers over ranks."""

from collections.abc import Iterable

import torch
from mmengine.dist import all_reduce, get_world_size
from mmengine.hooks import EMAHook, Hook
from mmengine.hooks.hook import DATA_BATCH
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from mmreid.registry import HOOKS


def sync_norm_stats(*models: nn.Module) -> int:
    """Averages the running statistics of the normalization layers over all ranks, in place.

    Only ``running_mean`` and ``running_var`` of layers that derive from torch's batch / instance norm base class
    change; other buffers (exemplar memory, prototypes, counters) do not. The variance is the plain mean of the ranks'
    variances, as is common practice: it omits the spread of the ranks' means, which is small because every rank sees
    batches of the same distribution. ``num_batches_tracked`` is equal on all ranks, and only ``momentum=None`` uses it.

    This is a collective call: every rank has to make it. Without distributed training it does nothing.

    Args:
        *models (nn.Module): The models, wrapped by DDP or not; the same on every rank.

    Returns:
        int: The number of layers that were averaged.
    """
    if get_world_size() == 1:
        return 0
    layers = [
        module
        for model in models
        for module in model.modules()
        if isinstance(module, _NormBase) and module.running_mean is not None
    ]
    if not layers:
        return 0
    stats = [stat for layer in layers for stat in (layer.running_mean, layer.running_var)]
    with torch.no_grad():
        # One message for all layers: a ResNet-50 has 106 of these buffers. Float64 costs nothing here and makes the
        # mean of equal values return exactly these values.
        flat = torch.cat([stat.detach().reshape(-1).double() for stat in stats])
        all_reduce(flat, op='mean')
        for stat, mean in zip(stats, flat.split([stat.numel() for stat in stats]), strict=True):
            stat.copy_(mean.reshape(stat.shape))
    return len(layers)


@HOOKS.register_module()
class SyncNormHook(Hook):
    """Makes the running statistics of the normalization layers equal on all ranks.

    Every rank normalizes its own batches, so the running statistics drift apart. Without this hook, validation and
    graph building on N ranks would use N slightly different models, and the checkpoint would hold rank 0's. It averages
    them at the end of an epoch, before the checkpoint is saved, and before validation if training continued since. It
    also averages the copy that an ``EMAHook`` keeps. Other hooks may call :meth:`sync` where all ranks do.

    MMEngine's ``SyncBuffersHook`` averages all buffers, which would corrupt a memory or an integer counter.

    Args:
        interval (int): Also average every this many iterations and after the last one. In an iteration-based loop, use
            the interval of the checkpoints, so that they hold averaged statistics. Defaults to -1: never.

    Raises:
        ValueError: If ``interval`` is 0.
    """

    # After the hooks that work on the weights (NORMAL), before the checkpoint is saved (VERY_LOW).
    priority = 'BELOW_NORMAL'

    def __init__(self, interval: int = -1) -> None:
        if interval == 0:
            raise ValueError('interval=0 of SyncNormHook must be a positive number of iterations, or -1 for never')
        self.interval = interval
        self._trained_since = True

    @staticmethod
    def sync(*models: nn.Module) -> int:
        """Averages the statistics of the given models over all ranks; see :func:`sync_norm_stats`."""
        return sync_norm_stats(*models)

    def after_train_iter(
        self, runner, batch_idx: int, data_batch: DATA_BATCH = None, outputs: dict | None = None
    ) -> None:
        """Averages every ``interval`` iterations."""
        self._trained_since = True
        if self.interval > 0 and (self.every_n_train_iters(runner, self.interval) or self.is_last_train_iter(runner)):
            self._sync(runner)

    def after_train_epoch(self, runner) -> None:
        """Averages before the checkpoint of the epoch is saved."""
        self._sync(runner)

    def before_val_epoch(self, runner) -> None:
        """Averages before validation, unless nothing was trained since the last time."""
        self._sync(runner)

    def _sync(self, runner) -> None:
        """Averages the runner's model and its EMA copies once per stretch of training."""
        if self._trained_since:
            self.sync(runner.model, *_ema_models(runner))
            self._trained_since = False


def _ema_models(runner) -> Iterable[nn.Module]:
    """Returns the averaged copies of the model that hooks keep."""
    return [hook.ema_model for hook in runner.hooks if isinstance(hook, EMAHook)]
