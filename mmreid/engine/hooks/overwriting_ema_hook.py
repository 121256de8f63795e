# Copyright (c) mmreid contributors. All rights reserved.
"""Averages weights as the official CM-NAS code does."""

from mmengine.runner import Runner

from mmreid.registry import HOOKS

from .epoch_ema_hook import EpochEMAHook


@HOOKS.register_module()
class OverwritingEMAHook(EpochEMAHook):
    """Averages weights, and continues training from the average after every validation.

    The official CM-NAS code averages from the initial weights on, overwrites the live weights with the averaged ones
    after each test, and leaves the optimizer unchanged. It tests the trained weights before that, as this hook does
    with ``evaluate_on_ema=False, evaluate_on_origin=True``; by default, the hook tests the average.

    Args:
        **kwargs: See :class:`EpochEMAHook`.
    """

    def before_train(self, runner: Runner) -> None:
        """Starts the average of a new run with its initial weights, not with those after the first step."""
        super().before_train(runner)
        if self.ema_model.steps == 0:
            self.ema_model.update_parameters(self.src_model)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Restores the trained weights, if its base has replaced them, and then overwrites them."""
        super().after_val_epoch(runner, metrics)
        self.src_model.load_state_dict(self.ema_model.module.state_dict())
