# Copyright (c) mmreid contributors. All rights reserved.
"""Weight averaging whose speed is given per epoch."""

from mmengine.runner import BaseLoop, Runner

from mmreid.registry import HOOKS

from .ema_hook import EMAHook


@HOOKS.register_module()
class EpochEMAHook(EMAHook):
    """MMPretrain's ``EMAHook`` with a momentum per epoch: it averages over as many epochs whatever their length.

    With ``n`` updates in an epoch, ``momentum`` is ``1 - (1 - momentum_per_epoch) ** (1 / n)``.

    Args:
        momentum_per_epoch (float, optional): Fraction of the average that one epoch replaces, above 0 and below 1; what
            was there before the epoch keeps ``1 - momentum_per_epoch``. Defaults to None: ``momentum`` is used.
        **kwargs: See :class:`mmpretrain.engine.EMAHook`; ``momentum`` is the fraction of each update.

    Raises:
        ValueError: If both are given, or ``momentum_per_epoch`` is out of range.
    """

    def __init__(self, momentum_per_epoch: float | None = None, **kwargs) -> None:
        name = type(self).__name__
        if momentum_per_epoch is not None and 'momentum' in kwargs:
            raise ValueError(
                f'{name} has momentum_per_epoch={momentum_per_epoch} and momentum={kwargs["momentum"]}, which say the '
                'same in two ways; leave one of them out'
            )
        if momentum_per_epoch is not None and not 0 < momentum_per_epoch < 1:
            raise ValueError(f'momentum_per_epoch={momentum_per_epoch} of {name} must lie between 0 and 1')
        super().__init__(**kwargs)
        self.momentum_per_epoch = momentum_per_epoch

    def before_run(self, runner: Runner) -> None:
        """Computes the momentum of an update, unless nothing is trained, and copies the model."""
        if self.momentum_per_epoch is not None and isinstance(runner._train_loop, BaseLoop):
            updates = len(runner.train_dataloader) / self.ema_cfg.get('interval', 1)
            self.ema_cfg['momentum'] = 1 - (1 - self.momentum_per_epoch) ** (1 / updates)
        super().before_run(runner)
