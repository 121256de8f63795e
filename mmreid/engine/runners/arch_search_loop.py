# Copyright (c) mmreid contributors. All rights reserved.
"""Trains the weights of a network and searches its architecture in turn."""

import copy
import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapperDict
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import Tensor, nn
from torch.utils.data import DataLoader

from mmreid.datasets.leaks import shared_images
from mmreid.registry import LOOPS

from .unrolled_gradient import unrolled_gradient

WRAPPERS = ('weights', 'arch')
# Keeps the batches of the architecture steps from showing the identities that the weights have just seen.
ARCH_SEED_OFFSET = 104_729
EXAMPLE = "dict(type='ArchSearchLoop', arch_dataloader=dict(dataset=dict(part=1)), ...)"


@LOOPS.register_module()
class ArchSearchLoop(EpochBasedTrainLoop):
    """Alternates steps of the weights and steps of the architecture, on two halves of the training images.

    In an iteration the weights take a step on a batch of ``train_dataloader``; after every ``arch_interval`` of them
    the architecture takes one on a batch of ``arch_dataloader``. Each step is an ordinary ``train_step`` of the model,
    wrapped for several ranks or not; ``model.phase`` tells the head which losses count. The gradients of both are
    cleared before each, so those of one step never reach the other. The bi-level scheme is that of DARTS (Liu et al.,
    ICLR 2019); the search loop of CM-NAS itself was never released.

    Args:
        runner (Runner): The runner. Its model has a ``mutator`` and a ``phase``; its ``optim_wrapper`` is that of
            :class:`MultiOptimWrapperConstructor` with ``weights`` and ``arch``.
        dataloader (DataLoader | dict): ``train_dataloader`` of the config; an epoch is a pass over it.
        max_epochs (int): Epochs.
        arch_dataloader (DataLoader | dict, optional): What the batches of the architecture steps differ in from
            ``train_dataloader``, e.g. ``dict(dataset=dict(part=1))`` where that is an ``ImageSplit`` with ``part=0``.
            Begins anew in each epoch and whenever it is exhausted. Needed unless ``bilevel=False``.
        warmup_epochs (int): First epochs, in which only the weights are trained. Defaults to 10.
        arch_interval (int): Steps of the weights for each step of the architecture. Defaults to 1.
        bilevel (bool): Search on images of its own. With False, both are stepped at once on the batches of
            ``train_dataloader``. Defaults to True.
        order (str): ``'first'`` takes the weights as given; ``'second'`` judges the architecture with the weights one
            gradient step ahead, at about four times the price of a step; the weights must be trained on the mixture
            then, ``BNMutator(weight_paths='mixed')``. Defaults to ``'first'``.
        **kwargs: See :class:`mmengine.runner.EpochBasedTrainLoop`.

    Raises:
        ValueError: If an argument is out of range, or ``arch_dataloader`` is missing or without use.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict,
        max_epochs: int,
        arch_dataloader: DataLoader | dict | None = None,
        warmup_epochs: int = 10,
        arch_interval: int = 1,
        bilevel: bool = True,
        order: str = 'first',
        **kwargs,
    ) -> None:
        if order not in ('first', 'second'):
            raise ValueError(f"order={order!r} of ArchSearchLoop is unknown; use 'first' or 'second'")
        if order == 'second' and not bilevel:
            raise ValueError(
                "order='second' of ArchSearchLoop has no meaning with bilevel=False; leave one of them out"
            )
        if not 0 <= warmup_epochs < max_epochs:
            raise ValueError(
                f'warmup_epochs={warmup_epochs} of ArchSearchLoop must be at least 0 and below '
                f'max_epochs={max_epochs}, or nothing is searched'
            )
        if arch_interval < 1:
            raise ValueError(f'arch_interval={arch_interval} of ArchSearchLoop must be at least 1')
        if bilevel and arch_dataloader is None:
            raise ValueError(
                'ArchSearchLoop has no arch_dataloader, whose images the architecture is judged by; give what it '
                f'differs in from train_dataloader: train_cfg = {EXAMPLE}, or search on the training images with '
                'bilevel=False'
            )
        if not bilevel and arch_dataloader is not None:
            raise ValueError(
                'ArchSearchLoop has bilevel=False and an arch_dataloader, whose images it would never use; set '
                'arch_dataloader=None, and give train_dataloader all images'
            )
        super().__init__(runner, dataloader, max_epochs, **kwargs)
        self.warmup_epochs = warmup_epochs
        self.arch_interval = arch_interval
        self.bilevel = bilevel
        self.order = order
        self.arch_dataloader = self._build(arch_dataloader) if bilevel else None
        self._arch_batches: Iterator[dict] = iter(())

    @property
    def model(self) -> nn.Module:
        """nn.Module: The model, unwrapped."""
        return self.runner.model.module if is_model_wrapper(self.runner.model) else self.runner.model

    @property
    def searching(self) -> bool:
        """bool: Whether the architecture takes steps now."""
        return self._epoch >= self.warmup_epochs and not self.model.mutator.frozen

    def run(self) -> nn.Module:
        """Searches.

        Raises:
            ValueError: If model, optimizers and data do not belong to a search.
        """
        self._check_model()
        self._check_optimizers()
        if self.bilevel:
            self._check_data()
        return super().run()

    def run_epoch(self) -> None:
        """Runs one epoch."""
        self.model.mutator.start_epoch(max(0, self._epoch - self.warmup_epochs), self.runner.seed)
        self._arch_batches = self._batches_of_epoch()
        super().run_epoch()
        self._arch_batches = iter(())  # ends the workers

    def run_iter(self, idx: int, data_batch: dict) -> None:
        """Runs one iteration.

        Args:
            idx (int): Place of the batch in the epoch.
            data_batch (dict): Batch of ``train_dataloader``.
        """
        self.runner.call_hook('before_train_iter', batch_idx=idx, data_batch=data_batch)
        outputs = self._steps(idx, data_batch)
        self.runner.call_hook('after_train_iter', batch_idx=idx, data_batch=data_batch, outputs=outputs)
        self._iter += 1

    def _steps(self, idx: int, data_batch: dict) -> dict[str, Tensor]:
        """Takes the steps of an iteration; what the architecture step logs gets the prefix ``arch_``."""
        if self.searching and not self.bilevel:
            return self._joint_step(data_batch)
        outputs = self._step('weights', data_batch)
        if self.searching and (idx + 1) % self.arch_interval == 0:
            arch_batch = next(self._arch_batches)
            first = self.order == 'first'
            found = self._step('arch', arch_batch) if first else self._unrolled_step(data_batch, arch_batch)
            self.model.mutator.after_step()
            outputs = dict(outputs, **{f'arch_{key}': value for key, value in found.items()})
        return outputs

    def _step(self, phase: str, data_batch: dict) -> dict[str, Tensor]:
        """Takes one step of the weights or of the architecture."""
        self._prepare_step(mixed=phase == 'arch')
        self.model.phase = phase
        try:
            return self.runner.model.train_step(data_batch, optim_wrapper=self.runner.optim_wrapper[phase])
        finally:
            self.model.phase = 'weights'

    def _prepare_step(self, mixed: bool) -> None:
        self.runner.optim_wrapper.zero_grad()
        self.model.mutator.sample(mixed)

    def _losses(self, phase: str, data_batch: dict) -> tuple[Tensor, dict[str, Tensor]]:
        """Runs a forward and gives the loss of a phase, for steps that MMEngine's ``train_step`` cannot take."""
        self.model.phase = phase
        try:
            with self.runner.optim_wrapper['weights'].optim_context(self.runner.model):
                data = self.model.data_preprocessor(data_batch, True)
                losses = self.runner.model(**data, mode='loss')
        finally:
            self.model.phase = 'weights'
        return self.model.parse_losses(losses)

    def _joint_step(self, data_batch: dict) -> dict[str, Tensor]:
        """Steps weights and architecture at once, by the gradients of one backward."""
        weights, arch = (self.runner.optim_wrapper[name] for name in WRAPPERS)
        self._prepare_step(mixed=True)
        loss, outputs = self._losses('weights', data_batch)
        weights.backward(loss)
        scaler = getattr(weights, 'loss_scaler', None)
        if scaler is None:
            arch.step()
        else:  # both gradients carry the scale of one backward
            scaler.unscale_(arch.optimizer)
            if arch.clip_grad_kwargs:
                arch._clip_grad()
            scaler.step(arch.optimizer)
        weights.step()
        self.model.mutator.after_step()
        return outputs

    def _unrolled_step(self, data_batch: dict, arch_batch: dict) -> dict[str, Tensor]:
        """Steps the architecture by its second-order gradient."""
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

    def _build(self, arch_dataloader: DataLoader | dict) -> DataLoader:
        if isinstance(arch_dataloader, DataLoader):
            return arch_dataloader
        base = self.runner.cfg.get('train_dataloader')
        merged = Config(dict(loader=copy.deepcopy(base) if isinstance(base, dict) else {}))
        merged.merge_from_dict(dict(loader=copy.deepcopy(arch_dataloader)))
        return self.runner.build_dataloader(merged.loader, seed=self.runner.seed)

    def _batches_of_epoch(self) -> Iterator[dict]:
        """Yields batches of the architecture steps for ever; which, depends on seed and epoch only."""
        loader = self.arch_dataloader
        samplers = [loader.sampler, getattr(loader.batch_sampler, 'sampler', None)]
        passes = max(1, -(-len(self.dataloader) // (self.arch_interval * len(loader))))
        for number in range(passes):
            for sampler in samplers:
                if hasattr(sampler, 'seed'):
                    sampler.seed = self.runner.seed + ARCH_SEED_OFFSET
                if hasattr(sampler, 'set_epoch'):
                    sampler.set_epoch(self._epoch * passes + number)
            yield from loader

    def _check_model(self) -> None:
        if getattr(self.model, 'mutator', None) is None or not hasattr(self.model, 'phase'):
            raise ValueError(
                f'ArchSearchLoop has nothing to search in {type(self.model).__name__}; use '
                "model = dict(type='CrossModalReID', mutator=dict(type='BNMutator'), ...)"
            )

        if self.order == 'second' and self.model.mutator.weight_paths == 'sampled':
            raise ValueError(
                "order='second' of ArchSearchLoop asks how the weights' step depends on the architecture, which single "
                "paths do not tell; set model.mutator=dict(weight_paths='mixed'), or order='first'"
            )

    def _check_optimizers(self) -> None:
        wrappers: Any = self.runner.optim_wrapper
        if not isinstance(wrappers, OptimWrapperDict) or set(wrappers.keys()) != set(WRAPPERS):
            found = ', '.join(wrappers.keys()) if isinstance(wrappers, OptimWrapperDict) else 'one optimizer'
            raise ValueError(
                f"ArchSearchLoop needs the optimizers 'weights' and 'arch', but optim_wrapper has {found}; write "
                "optim_wrapper = dict(constructor='MultiOptimWrapperConstructor', weights=dict(optimizer=...), "
                "arch=dict(optimizer=..., modules=['mutator']))"
            )
        owned = {id(entry) for group in wrappers['arch'].optimizer.param_groups for entry in group['params']}
        if owned != {id(self.model.mutator.logits)}:
            raise ValueError(
                "optim_wrapper.arch must own the parameters of the mutator and no others; give it modules=['mutator']"
            )
        for name in WRAPPERS:
            if wrappers[name]._accumulative_counts > 1:
                raise ValueError(
                    f'optim_wrapper.{name} accumulates gradients over {wrappers[name]._accumulative_counts} steps, '
                    'between which ArchSearchLoop clears them; set accumulative_counts=1'
                )
        if self.order == 'second' and hasattr(wrappers['weights'], 'loss_scaler'):
            raise ValueError(
                "order='second' of ArchSearchLoop takes the difference of nearly equal gradients, for which mixed "
                "precision is too coarse; use order='first' or no AMP"
            )

    def _check_data(self) -> None:
        weights, arch = self.dataloader.dataset, self.arch_dataloader.dataset
        pids = [np.unique(dataset.pids) for dataset in (weights, arch)]
        if not np.array_equal(*pids):
            different = np.setxor1d(*pids)
            raise ValueError(
                f'the images of the weights show {len(pids[0])} identities and those of the architecture '
                f'{len(pids[1])}, but both must show the same; {len(different)} are on one side only, e.g. pid '
                f"{different[0]}. Divide the images with dataset=dict(type='ImageSplit', part=0, ...)"
            )
        shared = shared_images(weights, arch)
        if shared:
            self.runner.logger.log(
                logging.WARNING,
                f'{len(shared)} of {len(arch)} images of the architecture steps also train the weights, which makes '
                f'every architecture look good; the first is {shared[0]}. Divide the images with '
                "dataset=dict(type='ImageSplit', part=0, ...) and arch_dataloader=dict(dataset=dict(part=1))",
            )
