# Copyright (c) mmreid contributors. All rights reserved.
"""Cuts the learning rate when the loss has fallen far enough, and ends the training in proportion."""

from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.hooks.hook import DATA_BATCH
from mmengine.optim import OptimWrapperDict
from mmengine.runner import EpochBasedTrainLoop

from mmreid.registry import HOOKS

STATE = 'adaptive_schedule'  # in the message hub, so that a resumed run knows


@HOOKS.register_module()
class AdaptiveScheduleHook(Hook):
    """Adaptive schedule of QAConv 2.1: ``max_epochs`` of the config is only an upper bound.

    The mean loss of an early epoch is the reference. After the first later epoch e whose mean loss is below
    ``threshold`` times the reference, all learning rates are multiplied by ``gamma``, once, and the training ends after
    epoch ``e + int(e * extension)``, or ``max_epochs`` if that is sooner. The last epoch is saved and validated as
    usual.

    Other schedulers continue from the reduced rate, because MMEngine's compute the next rate from the current one; a
    scheduler that spans all epochs would be cut off with the training.

    Args:
        reference_epoch (int): The epoch of the reference, 1-based. Defaults to 2.
        threshold (float): Fraction of the reference. Defaults to 0.7.
        gamma (float): Factor of the learning rates. Defaults to 0.1.
        extension (float): Epochs after the cut, as a fraction of those before it. Defaults to 0.5.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self, reference_epoch: int = 2, threshold: float = 0.7, gamma: float = 0.1, extension: float = 0.5
    ) -> None:
        if reference_epoch < 1 or not 0 < threshold < 1 or not 0 < gamma <= 1 or extension < 0:
            raise ValueError(
                f'AdaptiveScheduleHook needs reference_epoch={reference_epoch} of at least 1, '
                f'threshold={threshold} between 0 and 1, gamma={gamma} above 0 and at most 1, and '
                f'extension={extension} of at least 0'
            )
        self.reference_epoch = reference_epoch
        self.threshold = threshold
        self.gamma = gamma
        self.extension = extension

    def before_train(self, runner) -> None:
        """Restores the state of a resumed run."""
        if not isinstance(runner.train_loop, EpochBasedTrainLoop):
            raise ValueError(
                'AdaptiveScheduleHook counts epochs, which an iteration-based loop does not have; use '
                "train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=...)"
            )
        known = runner.message_hub.runtime_info.get(STATE) if runner.epoch else None
        self.state = dict(reference=None, last_epoch=None)
        if known is not None:
            self.state = _checked(known)
        if self.state['last_epoch'] is not None:
            self._end_after(runner, self.state['last_epoch'])

    def before_train_epoch(self, runner) -> None:
        """Starts the mean of the epoch."""
        self._sum, self._count = 0.0, 0

    def after_train_iter(
        self, runner, batch_idx: int, data_batch: DATA_BATCH = None, outputs: dict | None = None
    ) -> None:
        """Adds the loss of an iteration; it stays on the device."""
        self._sum = self._sum + torch.as_tensor(outputs['loss']).detach().double()
        self._count += 1

    def after_train_epoch(self, runner) -> None:
        """Sets the reference, or cuts the rates."""
        epoch, loss = runner.epoch + 1, self._mean()
        if epoch == self.reference_epoch:
            self.state['reference'] = loss
        elif self._is_time(loss):
            last = min(runner.max_epochs, epoch + int(epoch * self.extension))
            self.state['last_epoch'] = last
            self._cut(runner)
            self._end_after(runner, last)
            bound = f'{self.threshold:g} x {self.state["reference"]:.4g}'
            runner.logger.info(
                f'the mean loss of epoch {epoch}, {loss:.4g}, is below {bound}'
                f' (epoch {self.reference_epoch}): learning rates x {self.gamma:g}, the last epoch is {last}'
            )
        runner.message_hub.update_info(STATE, dict(self.state))

    def _mean(self) -> float:
        """Returns the mean over iterations and ranks."""
        total = torch.stack([torch.as_tensor(self._sum), torch.as_tensor(float(self._count)).to(self._sum)])
        all_reduce(total)
        return float(total[0] / total[1])

    def _is_time(self, loss: float) -> bool:
        reference = self.state['reference']
        return self.state['last_epoch'] is None and reference is not None and loss < self.threshold * reference

    def _cut(self, runner) -> None:
        wrapper = runner.optim_wrapper
        for single in wrapper.values() if isinstance(wrapper, OptimWrapperDict) else [wrapper]:
            for group in single.optimizer.param_groups:
                group['lr'] *= self.gamma

    @staticmethod
    def _end_after(runner, epoch: int) -> None:
        """Moves the end; ``stop_training`` of the loop would skip the last checkpoint and validation."""
        loop = runner.train_loop
        loop._max_epochs = min(loop._max_epochs, epoch)
        loop._max_iters = loop._max_epochs * len(loop.dataloader)


def _checked(known: Any) -> dict:
    """Refuses a value of a checkpoint that is not a state of this hook."""
    state = {key: known.get(key) for key in ('reference', 'last_epoch')} if isinstance(known, dict) else {}
    kinds = dict(reference=float, last_epoch=int)
    if not state or any(value is not None and type(value) is not kinds[key] for key, value in state.items()):
        raise ValueError(
            f'the checkpoint has {known!r:.200} as the state of AdaptiveScheduleHook, but it is not one; resume from '
            'another'
        )
    return state
