# Copyright (c) mmreid contributors. All rights reserved.
"""Reads the losses of many training steps at once, so that the host does not wait for the GPU in every step."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.hooks import LoggerHook, RuntimeInfoHook
from mmengine.hooks.hook import DATA_BATCH
from torch import Tensor

from mmreid.registry import HOOKS

GRAD_NORM = 'train/grad_norm'


@dataclass
class Step:
    """What a training step leaves to log and to check.

    Attributes:
        epoch (int): Its epoch, from 0.
        iter (int): Its iteration, from 0.
        values (dict[str, Any]): Losses and statistics: scalar tensors of the device until they are read, then numbers.
        rates (dict[str, list[float]]): Learning rates by name, one for each parameter group.
        grad_norm (float, optional): Norm of the gradients; None if it is not computed.
        samples (Sequence): Data samples of the batch; empty if there are none.
    """

    epoch: int
    iter: int
    values: dict[str, Any]
    rates: dict[str, list[float]]
    grad_norm: float | None
    samples: Sequence


def step_of(runner, data_batch: DATA_BATCH, outputs: dict) -> Step:
    """Takes down the current step."""
    values = {key: value.detach() if isinstance(value, Tensor) else value for key, value in outputs.items()}
    hub, samples = runner.message_hub, data_batch.get('data_samples') if isinstance(data_batch, dict) else None
    norm = float(hub.get_scalar(GRAD_NORM).current()) if GRAD_NORM in hub.log_scalars else None
    samples = samples if isinstance(samples, list | tuple) else ()
    return Step(runner.epoch, runner.iter, values, runner.optim_wrapper.get_lr(), norm, samples)


def read_values(steps: Sequence[Step]) -> None:
    """Turns the scalar tensors of the steps into numbers, in one transfer from each device."""
    devices = {value.device for step in steps for value in step.values.values() if isinstance(value, Tensor)}
    for device in devices:
        places = [
            (step.values, key)
            for step in steps
            for key, value in step.values.items()
            if isinstance(value, Tensor) and value.device == device
        ]
        numbers = torch.stack([values[key].float().mean() for values, key in places]).tolist()
        for (values, key), number in zip(places, numbers, strict=True):
            values[key] = number


@HOOKS.register_module()
class StepValuesHook(RuntimeInfoHook):
    """MMEngine's ``RuntimeInfoHook``, which reads the values of a training step later, together with others.

    That hook reads every loss in every step, and each time the host waits for the GPU. Here they stay on the device
    until they are needed: when a logger writes, at the end of an epoch, before a validation and before a checkpoint.
    Then the message hub gets all of them in order, and other hooks are told by ``after_step_values(runner, steps)``.

    A statistic that is NaN had nothing to measure (no pair in the batch, say) and is not logged; a loss always is.

    Args:
        interval (int): Most steps until the values are read; 1 reads each at once. Defaults to 50.

    Raises:
        ValueError: If ``interval`` is less than 1.
    """

    def __init__(self, interval: int = 50) -> None:
        if interval < 1:
            raise ValueError(f'interval={interval} of StepValuesHook must be at least 1')
        self.interval = interval
        self._steps: list[Step] = []

    def after_train_iter(
        self, runner, batch_idx: int, data_batch: DATA_BATCH = None, outputs: dict | None = None
    ) -> None:
        """Keeps the values of the step, and reads all that were kept if they are needed now."""
        if outputs is not None:
            self._steps.append(step_of(runner, data_batch, outputs))
        if len(self._steps) >= self.interval or self._is_logged(runner, batch_idx):
            self._read(runner)

    def after_train_epoch(self, runner) -> None:
        """Reads what is left of the epoch."""
        self._read(runner)

    def before_val(self, runner) -> None:
        """Reads what is left of the steps before the validation."""
        self._read(runner)
        super().before_val(runner)

    def after_train(self, runner) -> None:
        """Reads what is left."""
        self._read(runner)
        super().after_train(runner)

    def before_save_on_all_ranks(self, runner, path: str) -> None:
        """Reads what is left, so that the checkpoint has it, or is not written if a loss is not finite."""
        self._read(runner)

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Does the same for checkpoint hooks of others."""
        self._read(runner)

    def _is_logged(self, runner, batch_idx: int) -> bool:
        loggers = [hook for hook in runner.hooks if isinstance(hook, LoggerHook)]
        return self.end_of_epoch(runner.train_dataloader, batch_idx) or any(
            self.every_n_inner_iters(batch_idx, hook.interval) for hook in loggers
        )

    def _read(self, runner) -> None:
        steps, self._steps = self._steps, []
        if not steps:
            return
        read_values(steps)
        for step in steps:
            for key, value in step.values.items():
                if 'loss' in key or not math.isnan(value):
                    runner.message_hub.update_scalar(f'train/{key}', value)
        runner.call_hook('after_step_values', steps=steps)
