# Copyright (c) mmreid contributors. All rights reserved.
"""Weight averaging as the official CM-NAS code does it."""

from mmengine.runner import Runner

from mmreid.registry import HOOKS

from .epoch_ema_hook import EpochEMAHook


@HOOKS.register_module()
class OverwritingEMAHook(EpochEMAHook):
    """Averages weights, and after every validation goes on training from the average.

    The official CM-NAS code overwrites the live weights with the averaged ones at each test and leaves the optimizer as
    it is; it tests the trained weights before that, this hook the average. MMEngine's own ``EMAHook``, which only tests
    the average, is what the shipped configs use.

    Args:
        **kwargs: See :class:`EpochEMAHook`.
    """

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Puts the trained weights back, as its base does, and then overwrites them."""
        super().after_val_epoch(runner, metrics)
        self.src_model.load_state_dict(self.ema_model.module.state_dict())
