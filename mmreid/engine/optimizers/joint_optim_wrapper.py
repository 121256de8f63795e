# Copyright (c) mmreid contributors. All rights reserved.
"""Several optimizers that step together, after one backward pass through one loss."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.optim import AmpOptimWrapper, OptimWrapper, OptimWrapperDict
from torch import nn

from mmreid.registry import OPTIM_WRAPPER_CONSTRUCTORS

from .multi_optim_wrapper_constructor import MultiOptimWrapperConstructor


class JointOptimWrapper(OptimWrapperDict):
    """Updates all parameters by one loss, each part by its own optimizer and with its own clipping.

    Gradient accumulation and mixed precision are those of the first wrapper: one backward pass, one loss scale.

    Args:
        **optim_wrappers (OptimWrapper): The wrappers; all of one kind, with the same ``accumulative_counts``.

    Raises:
        ValueError: If they are not.
    """

    def __init__(self, **optim_wrappers: OptimWrapper) -> None:
        super().__init__(**optim_wrappers)
        self.first = next(iter(optim_wrappers.values()))
        kinds = {name: type(wrapper).__name__ for name, wrapper in optim_wrappers.items()}
        counts = {name: wrapper._accumulative_counts for name, wrapper in optim_wrappers.items()}
        for what, values in (('type', kinds), ('accumulative_counts', counts)):
            if len(set(values.values())) > 1:
                raise ValueError(
                    f'{what} differs among the wrappers of optim_wrapper, {values}, but they share one backward pass; '
                    f'write {what} once, beside them'
                )
        for name, wrapper in optim_wrappers.items():
            if wrapper.clip_grad_kwargs:
                wrapper.grad_name = f'{name}.{wrapper.grad_name}'  # in the log, like the learning rates
        self.is_amp = isinstance(self.first, AmpOptimWrapper)
        if self.is_amp:
            for wrapper in optim_wrappers.values():
                wrapper.loss_scaler = self.first.loss_scaler

    def initialize_count_status(self, model: nn.Module, cur_iter: int, max_iters: int) -> None:
        """Tells the first wrapper where the run is, for gradient accumulation."""
        self.first.initialize_count_status(model, cur_iter, max_iters)

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Is the context of the first wrapper: precision, and gradients that ranks need not exchange yet."""
        with self.first.optim_context(model):
            yield

    def update_params(
        self, loss: torch.Tensor, step_kwargs: dict | None = None, zero_kwargs: dict | None = None
    ) -> None:
        """Computes the gradients of a loss, and lets all optimizers step when enough are accumulated.

        Args:
            loss (torch.Tensor): The loss of an iteration, a scalar.
            step_kwargs (dict, optional): Arguments of the optimizers' ``step``. Defaults to None.
            zero_kwargs (dict, optional): Arguments of their ``zero_grad``. Defaults to None.
        """
        self.backward(self.first.scale_loss(loss))
        if self.first.should_update():
            self.step(**(step_kwargs or {}))
            self.zero_grad(**(zero_kwargs or {}))

    def backward(self, loss: torch.Tensor, **kwargs) -> None:
        """Computes the gradients of all parameters."""
        self.first.backward(loss, **kwargs)

    def step(self, **kwargs) -> None:
        """Clips the gradients of each part, then lets its optimizer step."""
        if not self.is_amp:
            for wrapper in self.values():
                wrapper.step(**kwargs)
            return
        scaler = self.first.loss_scaler
        for wrapper in self.values():
            scaler.unscale_(wrapper.optimizer)
            if wrapper.clip_grad_kwargs:
                wrapper._clip_grad()
        for wrapper in self.values():
            scaler.step(wrapper.optimizer, **kwargs)
        scaler.update(self.first._scale_update_param)  # once, from what all of them found


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class JointOptimWrapperConstructor(MultiOptimWrapperConstructor):
    """Builds a :class:`JointOptimWrapper`: several optimizers for one loss, or one kind with gradients clipped apart.

    Args and Raises: see :class:`MultiOptimWrapperConstructor`.

    Examples:
        >>> sgd = dict(type='SGD', lr=5e-3, momentum=0.9)
        >>> optim_wrapper = dict(
        >>>     constructor='JointOptimWrapperConstructor',
        >>>     model=dict(optimizer=sgd, clip_grad=dict(max_norm=8.0)),
        >>>     matcher=dict(optimizer=sgd, clip_grad=dict(max_norm=8.0), modules=['matcher']),
        >>> )
    """

    container = JointOptimWrapper
