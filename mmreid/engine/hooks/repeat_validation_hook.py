# Copyright (c) mmreid contributors. All rights reserved.
"""Repeats the validation that a killed run did not finish."""

from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, IterBasedTrainLoop, Runner

from mmreid.registry import HOOKS


@HOOKS.register_module()
class RepeatValidationHook(Hook):
    """Validates first if a resumed run's checkpoint was saved before its validation.

    A checkpoint is written at the end of an epoch, before the validation of that epoch. A run that is killed later,
    during the validation or the next epoch, would continue without its result and without the best score. The resumed
    run therefore starts with the validation. A finished run stays as it is.
    """

    priority = 'LOWEST'  # every other hook has to be ready for a validation

    def before_train(self, runner: Runner) -> None:
        """Validates if that is due."""
        if not runner._resume or runner._load_from is None or runner.val_loop is None:
            return
        if runner.current_run.finished or runner.validation_saved:
            return
        if validation_is_due(runner.train_loop):
            runner.logger.info(f'{runner._load_from} was saved before its validation, which runs now')
            _step_back(runner)
            runner.val_loop.run()

    def before_val(self, runner: Runner) -> None:
        """Marks this validation as done in checkpoints that it saves for its best score."""
        runner.validated_iter = runner.iter


def _step_back(runner: Runner) -> None:
    """Resets the message hub to its values at a validation, because it is saved with the best checkpoint."""
    runner.message_hub.update_info('iter', runner.iter - 1)
    if not isinstance(runner.train_loop, IterBasedTrainLoop):
        runner.message_hub.update_info('epoch', runner.epoch - 1)


def validation_is_due(loop: BaseLoop) -> bool:
    """Whether a validation follows the epoch or iteration that a training loop of MMEngine has just finished."""
    loop._decide_current_val_interval()
    by_iter = isinstance(loop, IterBasedTrainLoop)
    done, end = (loop.iter, loop.max_iters) if by_iter else (loop.epoch, loop.max_epochs)
    return done > 0 and done >= loop.val_begin and (done % loop.val_interval == 0 or done == end)
