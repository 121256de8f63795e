# Copyright (c) mmreid contributors. All rights reserved.
"""Averages weights as the official CM-NAS code does."""

from mmengine.runner import Runner

from mmreid.registry import HOOKS

from .epoch_ema_hook import EpochEMAHook


@HOOKS.register_module()
class OverwritingEMAHook(EpochEMAHook):
    """Averages weights, and continues training from the average after every validation.

    The official CM-NAS code overwrites the live weights with the averaged ones at each test and leaves the optimizer
    unchanged; it tests the trained weights first, this hook tests the average. The shipped configs use MMEngine's own
    ``EMAHook``, which only tests the average.

    Args:
        **kwargs: See :class:`EpochEMAHook`.
    """

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Restores the trained weights, as its base does, and then overwrites them."""
        super().after_val_epoch(runner, metrics)
        self.src_model.load_state_dict(self.ema_model.module.state_dict())
