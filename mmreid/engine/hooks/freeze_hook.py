# Copyright (c) mmreid contributors. All rights reserved.
"""Freezes parts of a model at the beginning of a training."""

from collections.abc import Sequence

import torch
from mmengine.hooks import Hook
from mmengine.hooks.hook import DATA_BATCH
from mmengine.optim import OptimWrapperDict
from torch import Tensor, nn

from mmreid.registry import HOOKS
from mmreid.utils.unwrap_model import unwrap_model


@HOOKS.register_module()
class FreezeHook(Hook):
    """Trains only the new parts at first: the modules it names keep their weights and the statistics of their norms.

    fast-reid (``FREEZE_ITERS``) and torchreid (``fixbase_epoch``) do so with a pretrained backbone. The backward pass
    runs as usual, so that training on several GPUs needs no other settings, but returns zeros, which do not count in
    the norm of ``clip_grad``. The optimizer does not see them, so it applies neither weight decay nor moments. A
    resumed run continues where it was.

    Args:
        modules (Sequence[str]): Names of the modules, dotted for inner ones. Defaults to ``('backbone',)``.
        end (int): The iteration from which they learn; 0 freezes nothing. Defaults to 1000.
        by_epoch (bool): Whether ``end`` counts epochs. Defaults to False.

    Raises:
        ValueError: If ``end`` is negative.
    """

    def __init__(self, modules: Sequence[str] = ('backbone',), end: int = 1000, by_epoch: bool = False) -> None:
        if end < 0:
            raise ValueError(f'end={end} of FreezeHook must not be negative; 0 freezes nothing')
        self.names = [modules] if isinstance(modules, str) else list(modules)
        self.end = end
        self.by_epoch = by_epoch
        self.frozen = False
        self._modules: list[nn.Module] = []
        self._modes: dict[nn.Module, bool] = {}

    def before_train(self, runner) -> None:
        """Finds the modules; adds hooks to their gradients and to the optimizers."""
        model = unwrap_model(runner.model)
        known = dict(model.named_modules())
        for name in self.names:
            if not name or name not in known:
                parts = ', '.join(part for part, _ in model.named_children())
                raise ValueError(
                    f"FreezeHook names the module '{name}', which the model does not have; its parts are {parts}"
                )
        self._modules = [known[name] for name in self.names]
        for parameter in {parameter for module in self._modules for parameter in module.parameters()}:
            if parameter.requires_grad:
                parameter.register_hook(self._silence)
        wrapper = runner.optim_wrapper
        for each in wrapper.values() if isinstance(wrapper, OptimWrapperDict) else [wrapper]:
            each.optimizer.register_step_pre_hook(self._forget_gradients)

    def before_train_iter(self, runner, batch_idx: int, data_batch: DATA_BATCH = None) -> None:
        """Freezes the modules, or lets them learn."""
        frozen = (runner.epoch if self.by_epoch else runner.iter) < self.end
        for module in self._modules:
            if frozen and module.training:  # again at the start of each epoch
                self._modes.update({part: part.training for part in module.modules()})
                module.eval()
        if self.frozen and not frozen:
            # Not train(), because the model may keep some norms of a part in eval mode.
            for part, training in self._modes.items():
                part.training = training
        if frozen != self.frozen:
            until = f'until {"epoch" if self.by_epoch else "iteration"} {self.end}'
            runner.logger.info(f'{", ".join(self.names)} {f"frozen {until}" if frozen else "learn from now on"}')
        self.frozen = frozen

    def _silence(self, gradient: Tensor) -> Tensor:
        return torch.zeros_like(gradient) if self.frozen else gradient

    def _forget_gradients(self, *_: object) -> None:
        if self.frozen:
            for module in self._modules:
                for parameter in module.parameters():
                    parameter.grad = None
