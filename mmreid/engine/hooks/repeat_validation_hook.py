# Copyright (c) mmreid contributors. All rights reserved.
"""Runs the validation again that a killed run did not finish."""

from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, IterBasedTrainLoop, Runner

from mmreid.registry import HOOKS


@HOOKS.register_module()
class RepeatValidationHook(Hook):
    """Validates before the first epoch of a resumed run whose checkpoint was saved ahead of a validation.

    A checkpoint is written at the end of an epoch, ahead of the validation of that epoch. A run that is killed later,
    during the validation or the next epoch, would go on without its result and without the best score. The resumed run
    therefore begins where the checkpoint was saved: with the validation. A run that came to its end is left as it is.
    """

    priority = 'LOWEST'  # every other hook has to be ready for a validation

    def before_train(self, runner: Runner) -> None:
        """Validates if that is due."""
        if not runner._resume or runner._load_from is None or runner.val_loop is None:
            return
        if runner.current_run.finished or runner.validation_saved:
            return
        if validation_is_due(runner.train_loop):
            runner.logger.info(f'{runner._load_from} was saved before its validation, which is run now')
            _step_back(runner)
            runner.val_loop.run()

    def before_val(self, runner: Runner) -> None:
        """Lets what is saved from now on, for its best score, know that this validation needs no repetition."""
        runner.validated_iter = runner.iter


def _step_back(runner: Runner) -> None:
    """Lets the message hub say what it says at a validation, for it is saved with the best checkpoint."""
    runner.message_hub.update_info('iter', runner.iter - 1)
    if not isinstance(runner.train_loop, IterBasedTrainLoop):
        runner.message_hub.update_info('epoch', runner.epoch - 1)


def validation_is_due(loop: BaseLoop) -> bool:
    """Tells whether a validation follows the epoch or iteration that a training loop has just finished.

    Args:
        loop (BaseLoop): The loop, one of MMEngine or derived from one.

    Returns:
        bool: Whether it would validate now.
    """
    loop._decide_current_val_interval()
    by_iter = isinstance(loop, IterBasedTrainLoop)
    done, end = (loop.iter, loop.max_iters) if by_iter else (loop.epoch, loop.max_epochs)
    return done > 0 and done >= loop.val_begin and (done % loop.val_interval == 0 or done == end)
