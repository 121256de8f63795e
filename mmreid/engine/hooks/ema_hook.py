# Copyright (c) mmreid contributors. All rights reserved.
"""Weight averaging that takes up no weights that are not finite."""

from collections.abc import Iterator

import torch
from mmengine.hooks.hook import DATA_BATCH
from mmpretrain.engine.hooks import ema_hook
from torch import Tensor, nn

from mmreid.registry import HOOKS


@HOOKS.register_module()
class EMAHook(ema_hook.EMAHook):
    """MMPretrain's ``EMAHook``, whose average stays as it is while a weight or a statistic of a norm is not finite.

    The device decides, so the host does not wait for it.

    Args:
        **kwargs: See :class:`mmpretrain.engine.EMAHook`.
    """

    def after_train_iter(
        self, runner, batch_idx: int, data_batch: DATA_BATCH = None, outputs: dict | None = None
    ) -> None:
        """Averages."""
        model = self.src_model
        self.src_model = _FiniteWeights(model, self.ema_model.module)
        try:
            super().after_train_iter(runner, batch_idx, data_batch, outputs)
        finally:
            self.src_model = model


class _FiniteWeights:
    """What averages ask of a model, with the averages in place of its weights if any of these is not finite."""

    def __init__(self, model: nn.Module, average: nn.Module) -> None:
        self.model, self.average = model, average
        floats = [value.detach() for value in (*model.parameters(), *model.buffers()) if value.is_floating_point()]
        self.finite = nn.utils.get_total_norm(floats, float('inf')).isfinite()

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        for (name, own), average in zip(self.model.named_parameters(), self.average.parameters(), strict=True):
            yield name, self._of(own, average)

    def buffers(self) -> Iterator[Tensor]:
        yield from map(self._of, self.model.buffers(), self.average.buffers())

    def state_dict(self) -> dict[str, Tensor]:
        averages = self.average.state_dict()
        return {name: self._of(own, averages[name]) for name, own in self.model.state_dict().items()}

    def _of(self, own: Tensor, average: Tensor) -> Tensor:
        if own.device != self.finite.device:  # a memory on the host, which takes up finite features only
            return own
        return torch.where(self.finite, own.detach(), average.to(own.device))
