# Copyright (c) mmreid contributors. All rights reserved.
"""Writes what a step has seen into the exemplar memory, once its backward is over."""

import os.path as osp

import torch
from mmengine.dist import all_gather, is_main_process
from mmengine.hooks import EMAHook, Hook
from mmengine.hooks.hook import DATA_BATCH
from mmengine.runner import BaseLoop, IterBasedTrainLoop

from mmreid.engine.checkpoints.memory_shards import check_manifest, load_slots, remove_orphans, save_shards
from mmreid.models.memories import ExemplarMemory
from mmreid.registry import HOOKS
from mmreid.utils.run_fraction import count_of_run

from .memory_access import count_target, device_of, labels_of, learned_neighbors, target_memory, unwrapped
from .safe_checkpoint_hook import SafeCheckpointHook

FEATURES = 'head.memory.features'
SOURCE_FEATURES = 'head.neighbors.memory.features'


@HOOKS.register_module()
class MemoryUpdateHook(Hook):
    """Counts the slots of an exemplar memory, and updates it after every step (Zhong et al., ECN, CVPR 2019).

    The share of the old slot is ``alpha`` times the epoch, counted from 0 as in the official code: the first epoch
    overwrites. Features of all ranks are written in rank order on every rank, so the copies stay equal. With gradient
    accumulation the memory is updated after every forward, not only after those that step the optimizer.

    Neighbors that are learned (``GraphPositivePrediction``) have a memory of the source images, to which all of this
    applies too.

    Args:
        alpha (float, optional): Growth of the share of the old slot per epoch. Defaults to 0.01 unless
            ``alpha_per_run`` is given.
        alpha_per_run (float, optional): Its growth over all ``max_epochs``, whatever their number: alpha is
            ``alpha_per_run / max_epochs``, 0.6 for 0.01 in 60 epochs. Defaults to None.

    Raises:
        ValueError: If both are given, or one is out of range.
    """

    priority = 'ABOVE_NORMAL'  # the slots must be there before EMAHook copies the model

    def __init__(self, alpha: float | None = None, alpha_per_run: float | None = None) -> None:
        if alpha is not None and alpha_per_run is not None:
            raise ValueError(
                f'MemoryUpdateHook has alpha={alpha} and alpha_per_run={alpha_per_run}, which say the same in two '
                'ways; leave one of them out'
            )
        if alpha is not None and not 0 <= alpha < 1:
            raise ValueError(f'alpha={alpha} of MemoryUpdateHook must lie in [0, 1)')
        if alpha_per_run is not None and not 0 <= alpha_per_run <= 1:
            raise ValueError(f'alpha_per_run={alpha_per_run} of MemoryUpdateHook must lie in [0, 1]')
        self.alpha = 0.01 if alpha is None else alpha
        self.alpha_per_run = alpha_per_run
        self._manifest: dict | None = None
        self._folder: str | None = None

    def before_run(self, runner) -> None:
        """Makes the slots, one for each target image, before weights are loaded.

        Args:
            runner (Runner): The runner of the training process.

        Raises:
            TypeError: If the training data has no target images.
        """
        memory = target_memory(runner.model)
        trains = isinstance(runner._train_loop, BaseLoop)  # a config until training begins
        if memory is not None and trains and memory.features is None:
            memory.allocate(count_target(runner.train_dataloader.dataset), device_of(runner.model))
        neighbors = learned_neighbors(runner.model)
        if neighbors is not None and trains:
            neighbors.allocate(labels_of(runner.train_dataloader.dataset, 'source'), device_of(runner.model))
            neighbors.check_size(memory.num_slots, 'target')

    def before_train(self, runner) -> None:
        """Compares the memory with the target set, and looks for settings that would spoil it.

        Args:
            runner (Runner): The runner of the training process.

        Raises:
            ValueError: If there are no epochs, the size differs, weights are averaged with their buffers or beside a
                sharded memory, alpha would exceed 1, or the parts of a sharded memory would not be saved.
        """
        head = getattr(unwrapped(runner.model), 'head', None)
        if getattr(head, 'memory', None) is not None:
            self._check_epochs(runner, head)
        if target_memory(runner.model) is not None:
            _check_counts(runner)
            _check_other_hooks(runner)

    def _check_epochs(self, runner, head) -> None:
        if isinstance(runner.train_loop, IterBasedTrainLoop):
            raise ValueError(
                'the share of the old slot and the first epoch with neighbors count in epochs, which an '
                "iteration-based loop has not; use train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=...)"
            )
        if self.alpha_per_run is not None:
            self.alpha = self.alpha_per_run / runner.max_epochs
        last = self.alpha * (runner.max_epochs - 1)
        if last > 1:
            raise ValueError(
                f'alpha={self.alpha} of MemoryUpdateHook would reach {last:g} in epoch {runner.max_epochs}, but the '
                f'share of the old slot is at most 1; set it to {1 / runner.max_epochs:.2g} or less'
            )
        head.first_neighbor_epoch = count_of_run(head.neighbor_epoch, runner.max_epochs, 'model.head.neighbor_epoch')
        if head.neighbors is not None and head.first_neighbor_epoch >= runner.max_epochs:
            runner.logger.warning(
                f'neighbors begin with epoch {head.first_neighbor_epoch + 1}, but there are {runner.max_epochs}, so '
                'there will be none; train longer, or lower model.head.neighbor_epoch'
            )

    def before_train_iter(self, runner, batch_idx: int, data_batch: DATA_BATCH = None) -> None:
        """Tells the head the epoch, on which neighbors depend."""
        unwrapped(runner.model).head.epoch = runner.epoch

    def after_train_iter(
        self, runner, batch_idx: int, data_batch: DATA_BATCH = None, outputs: dict | None = None
    ) -> None:
        """Writes the features of the step into the memory, those of all ranks."""
        for owner in (unwrapped(runner.model).head, learned_neighbors(runner.model)):
            pending = owner.take_pending() if owner is not None else None
            if pending is not None:
                feats, slots = (torch.cat(all_gather(part.contiguous())) for part in pending)
                owner.memory.update(feats, slots, self.alpha * runner.epoch)

    def before_save_on_all_ranks(self, runner, path: str) -> None:
        """Saves the parts of a sharded memory beside the checkpoint that is about to be written.

        Args:
            runner (Runner): The runner of the training process.
            path (str): The checkpoint.
        """
        memory = target_memory(runner.model)
        if memory is not None and memory.sharded:
            self._manifest = save_shards(memory, path)
            self._folder = osp.dirname(path)

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Names the parts of a sharded memory in the checkpoint, instead of the part of this rank."""
        memory = target_memory(runner.model)
        if memory is not None and memory.sharded:
            checkpoint['state_dict'].pop(FEATURES, None)
            if self._manifest is not None:
                checkpoint['memory_shards'] = self._manifest
            self._manifest = None

    def after_train(self, runner) -> None:
        """Removes the parts of the last checkpoint that was replaced; those before went with the next save."""
        if self._folder is not None and is_main_process():
            remove_orphans(self._folder)

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Gives this rank its part of the memory of a checkpoint, however many ranks have saved it.

        Args:
            runner (Runner): The runner of the training process.
            checkpoint (dict): The checkpoint; its ``state_dict`` gets the slots of this rank.

        Raises:
            ValueError: If the memory was made for a target set of another size, or a part of it is damaged.
            FileNotFoundError: If a part of it is missing.
        """
        memory, state = target_memory(runner.model), checkpoint.get('state_dict', {})
        neighbors, of_source = learned_neighbors(runner.model), state.get(SOURCE_FEATURES)
        if neighbors is not None and neighbors.memory.features is not None and of_source is not None:
            _check_size(tuple(of_source.shape), neighbors.memory, 'source')
        manifest, found = checkpoint.get('memory_shards'), state.get(FEATURES)
        if manifest is not None:
            check_manifest(manifest)
        if memory is None or memory.features is None or (manifest is None and found is None):
            return
        if found is not None and found.shape == memory.features.shape:  # includes what this model just loaded
            return
        size = tuple(manifest['size']) if manifest else tuple(found.shape)
        _check_size(size, memory, 'target')
        end = memory.first + len(memory.features)
        if manifest:
            folder = osp.dirname(str(runner._load_from))
            state[FEATURES] = load_slots(manifest, folder, memory.first, end)
        else:
            state[FEATURES] = found[memory.first : end]


def _check_counts(runner) -> None:
    memory, neighbors = target_memory(runner.model), learned_neighbors(runner.model)
    count = count_target(runner.train_dataloader.dataset)
    if count != memory.num_slots:
        raise ValueError(
            f'the exemplar memory has {memory.num_slots} slots, but the target set has {count} training images; '
            f'set model.head.memory.num_slots={count}, or leave it out'
        )
    if neighbors is not None and neighbors.memory.num_slots != len(neighbors.labels):
        raise ValueError(
            f'the source memory has {neighbors.memory.num_slots} slots, but the source has '
            f'{len(neighbors.labels)} training images; leave model.head.neighbors.memory.num_slots out'
        )


def _check_other_hooks(runner) -> None:
    averages = [hook for hook in runner.hooks if isinstance(hook, EMAHook)]
    if any(hook.ema_cfg.get('update_buffers') for hook in averages):
        raise ValueError(
            'weight averaging with update_buffers=True would average the exemplar memory too; take update_buffers '
            'out of the EMAHook'
        )
    sharded = target_memory(runner.model).sharded
    if sharded and averages:
        raise ValueError(
            'a checkpoint with averaged weights would hold the part of one rank for the whole of a sharded exemplar '
            'memory; take the EMAHook out, or set model.head.memory.sharded=False'
        )
    safe = any(isinstance(hook, SafeCheckpointHook) for hook in runner.hooks)
    if sharded and not safe:
        raise ValueError(
            'the parts of a sharded exemplar memory are saved with the checkpoints of a SafeCheckpointHook only; set '
            "default_hooks.checkpoint.type='SafeCheckpointHook'"
        )


def _check_size(found: tuple[int, ...], memory: ExemplarMemory, domain: str) -> None:
    if found != (memory.num_slots, memory.feat_dim):
        raise ValueError(
            f'the checkpoint has an exemplar memory of {found[0]} slots x {found[1]}, but this run has '
            f'{memory.num_slots} {domain} images and features of {memory.feat_dim}; resume with the {domain} set that '
            'the run was started with, or use load_from instead of resume to begin with a new memory'
        )
