# Copyright (c) mmreid contributors. All rights reserved.
"""Alternates training of the weights and search of the architecture."""

from collections.abc import Iterator

from mmengine.optim import AmpOptimWrapper
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import Tensor, nn
from torch.utils.data import DataLoader

from mmreid.models.reid import BaseReID
from mmreid.registry import LOOPS
from mmreid.utils.run_fraction import count_of_run
from mmreid.utils.unwrap_model import unwrap_model

from .logits_only import logits_only
from .search_checks import WRAPPERS, check_arguments, check_data, check_model, check_optimizers
from .search_data import arch_batches, build_arch_dataloader
from .unrolled_gradient import unrolled_gradient


@LOOPS.register_module()
class ArchSearchLoop(EpochBasedTrainLoop):
    """Alternates weight steps and architecture steps, on two halves of the training images.

    Each iteration takes a weight step on a batch of ``train_dataloader``; every ``arch_interval``-th also takes an
    architecture step on a batch of ``arch_dataloader``. ``model.phase`` tells the head which losses count. All
    gradients are cleared before each step, so weights and architecture never see each other's. The bi-level scheme
    comes from DARTS (Liu et al., ICLR 2019); the search loop of CM-NAS itself was never released.

    Args:
        runner (Runner): The runner. Its model is a :class:`BaseReID` with a ``mutator``; its ``optim_wrapper`` comes
            from :class:`MultiOptimWrapperConstructor` with ``weights`` and ``arch``.
        dataloader (DataLoader | dict): ``train_dataloader`` of the config; one pass over it is an epoch.
        max_epochs (int): Epochs.
        arch_dataloader (DataLoader | dict, optional): How the batches of the architecture steps differ from
            ``train_dataloader``, e.g. ``dict(dataset=dict(part=1))`` if that has an ``ImageSplit`` with ``part=0``.
            Restarts in each epoch and whenever it is exhausted. Needed unless ``bilevel=False``.
        warmup_epochs (int | float): First epochs, in which only the weights are trained; a float is a fraction of
            ``max_epochs``. Defaults to 10.
        arch_interval (int): Weight steps per architecture step. Defaults to 1.
        bilevel (bool): Search on separate images. With False, one step on a batch of ``train_dataloader`` updates
            weights and architecture. Defaults to True.
        order (str): ``'first'`` takes the weights as they are; ``'second'`` judges the architecture with the weights
            one gradient step ahead, which takes about four times as long and needs weights trained on the mixture,
            ``BNMutator(weight_paths='mixed')``. Defaults to ``'first'``.
        **kwargs: See :class:`mmengine.runner.EpochBasedTrainLoop`.

    Raises:
        ValueError: If an argument is out of range, or ``arch_dataloader`` is missing or has no use.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict,
        max_epochs: int,
        arch_dataloader: DataLoader | dict | None = None,
        warmup_epochs: int | float = 10,
        arch_interval: int = 1,
        bilevel: bool = True,
        order: str = 'first',
        **kwargs,
    ) -> None:
        warmup_epochs = count_of_run(warmup_epochs, max_epochs, 'warmup_epochs of ArchSearchLoop')
        check_arguments(max_epochs, warmup_epochs, arch_interval, bilevel, order, arch_dataloader is not None)
        super().__init__(runner, dataloader, max_epochs, **kwargs)
        self.warmup_epochs = warmup_epochs
        self.arch_interval = arch_interval
        self.bilevel = bilevel
        self.order = order
        self.arch_dataloader = build_arch_dataloader(runner, arch_dataloader) if bilevel else None
        self._arch_batches: Iterator[dict] = iter(())

    @property
    def model(self) -> BaseReID:
        """BaseReID: The model, unwrapped."""
        return unwrap_model(self.runner.model)

    @property
    def searching(self) -> bool:
        """bool: Whether the architecture takes steps in this epoch."""
        return self._epoch >= self.warmup_epochs and not self.model.mutator.frozen

    def run(self) -> nn.Module:
        """Checks model, optimizers and data, and searches."""
        check_model(self.model, self.bilevel, self.order)
        check_optimizers(self.runner.optim_wrapper, self.model, self.order)
        if self.bilevel:
            check_data(self.dataloader.dataset, self.arch_dataloader.dataset, self.runner.logger)
        return super().run()

    def run_epoch(self) -> None:
        """Runs one epoch."""
        searched = max(0, self._epoch - self.warmup_epochs)
        self.model.mutator.start_epoch(searched, seed=[self.runner.seed, self._epoch])
        self._arch_batches = self._batches_of_epoch()
        super().run_epoch()
        self._arch_batches = iter(())  # ends the workers

    def run_iter(self, idx: int, data_batch: dict) -> None:
        """Runs one iteration on a batch of ``train_dataloader``."""
        self.runner.call_hook('before_train_iter', batch_idx=idx, data_batch=data_batch)
        outputs = self._steps(idx, data_batch)
        self.runner.call_hook('after_train_iter', batch_idx=idx, data_batch=data_batch, outputs=outputs)
        self._iter += 1

    def _steps(self, idx: int, data_batch: dict) -> dict[str, Tensor]:
        """Takes the steps of an iteration; logs of the architecture step get the prefix ``arch_``."""
        if self.searching and not self.bilevel:
            return self._joint_step(data_batch)
        outputs = self._weight_step(data_batch)
        if self.searching and (idx + 1) % self.arch_interval == 0:
            arch_batch = next(self._arch_batches)
            first = self.order == 'first'
            logged = self._arch_step(arch_batch) if first else self._unrolled_step(data_batch, arch_batch)
            self.model.mutator.after_step()
            outputs = dict(outputs, **{f'arch_{key}': value for key, value in logged.items()})
        return outputs

    def _weight_step(self, data_batch: dict) -> dict[str, Tensor]:
        """Takes one weight step."""
        self._prepare_step(mixed=False)
        return self.runner.model.train_step(data_batch, optim_wrapper=self.runner.optim_wrapper['weights'])

    def _arch_step(self, data_batch: dict) -> dict[str, Tensor]:
        """Takes one first-order architecture step."""
        self._prepare_step(mixed=True)
        arch = self.runner.optim_wrapper['arch']
        with logits_only(self.runner.model, self.model.mutator.logits):
            loss, outputs = self._losses('arch', data_batch)
            arch.backward(loss)
        arch.step()
        return outputs

    def _prepare_step(self, mixed: bool) -> None:
        self.runner.optim_wrapper.zero_grad()
        self.model.mutator.sample(mixed)

    def _losses(self, phase: str, data_batch: dict) -> tuple[Tensor, dict[str, Tensor]]:
        """Runs a forward and returns the loss of a phase, for steps that MMEngine's ``train_step`` cannot take."""
        self.model.phase = phase
        try:
            with self.runner.optim_wrapper[phase].optim_context(self.runner.model):
                data = self.model.data_preprocessor(data_batch, True)
                losses = self.runner.model(**data, mode='loss')
        finally:
            self.model.phase = 'weights'
        return self.model.parse_losses(losses)

    def _joint_step(self, data_batch: dict) -> dict[str, Tensor]:
        """Updates weights and architecture from one backward."""
        weights, arch = (self.runner.optim_wrapper[name] for name in WRAPPERS)
        self._prepare_step(mixed=True)
        loss, outputs = self._losses('weights', data_batch)
        weights.backward(loss)
        if isinstance(weights, AmpOptimWrapper):  # its scale is in the gradients of both
            weights.loss_scaler.unscale_(arch.optimizer)
            if arch.clip_grad_kwargs:
                arch._clip_grad()
            weights.loss_scaler.step(arch.optimizer)
        else:
            arch.step()
        weights.step()
        self.model.mutator.after_step()
        return outputs

    def _unrolled_step(self, data_batch: dict, arch_batch: dict) -> dict[str, Tensor]:
        """Takes one second-order architecture step."""
        self._prepare_step(mixed=True)
        wrappers = self.runner.optim_wrapper
        outputs = unrolled_gradient(
            train_loss=lambda: self._losses('weights', data_batch),
            arch_loss=lambda: self._losses('arch', arch_batch),
            logits=self.model.mutator.logits,
            groups=wrappers['weights'].optimizer.param_groups,
            buffers=list(self.model.buffers()),
        )
        wrappers['arch'].step()
        return outputs

    def _batches_of_epoch(self) -> Iterator[dict]:
        """Yields the batches of the architecture steps of this epoch."""
        passes = max(1, -(-len(self.dataloader) // (self.arch_interval * len(self.arch_dataloader))))
        yield from arch_batches(self.arch_dataloader, self._epoch, passes, self.runner.seed)
