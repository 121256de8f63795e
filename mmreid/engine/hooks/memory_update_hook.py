# Copyright (c) mmreid contributors. All rights reserved.
"""Writes the features of a step into the exemplar memory, after its backward."""

import os.path as osp
from typing import Any

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import EMAHook, Hook
from mmengine.hooks.hook import DATA_BATCH
from mmengine.runner import BaseLoop, IterBasedTrainLoop

from mmreid.datasets import SourceTargetDataset
from mmreid.engine.checkpoints.memory_shards import check_manifest, load_slots, remove_orphans, save_shards
from mmreid.models.heads import MemoryHead
from mmreid.models.memories import ExemplarMemory
from mmreid.registry import HOOKS
from mmreid.utils.dist import host_group

from .memory_access import memory_head
from .memory_writing import of_all_ranks
from .neighbor_start_hook import NeighborStartHook
from .safe_checkpoint_hook import SafeCheckpointHook

FEATURES = 'head.memory.features'
SOURCE_FEATURES = 'head.invariance.neighbors.memory.features'


@HOOKS.register_module()
class MemoryUpdateHook(Hook):
    """Makes the slots of an exemplar memory, and updates it after every step (Zhong et al., ECN, CVPR 2019).

    The momentum (the weight of the old slot) is ``alpha`` times the epoch, counted from 0 as in the official code: the
    first epoch overwrites. Every rank writes the features of all ranks in rank order, so all copies stay equal. With
    gradient accumulation the memory is updated after every forward, not only when the optimizer steps.

    The same applies to the memory of source images that learned neighbors (``GraphPositivePrediction``) have.

    Args:
        alpha (float, optional): Growth of the momentum per epoch. Defaults to 0.01 unless ``alpha_per_run`` is given.
        alpha_per_run (float, optional): Its growth over all ``max_epochs``, whatever their number: alpha is
            ``alpha_per_run / max_epochs``, 0.6 for 0.01 in 60 epochs. Defaults to None.

    Raises:
        ValueError: If both are given, or one is out of range.
    """

    priority = 'ABOVE_NORMAL'  # EMAHook copies the model, so the slots must exist before

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
        self._host_group: Any = None

    def before_run(self, runner) -> None:
        """Makes the slots, one for each target image, before weights are loaded."""
        memories = memory_head(runner).memories()
        if not memories or not isinstance(runner._train_loop, BaseLoop):  # a config until training begins
            return
        dataset, device = _source_and_target(runner), next(runner.model.parameters()).device
        memory = memories['target']
        if memory.features is None:
            memory.allocate(dataset.num_target, device)
        if 'source' in memories:
            neighbors = memory_head(runner).learned_neighbors
            neighbors.allocate(torch.from_numpy(dataset.gt_labels[dataset.images_of('source')]), device)
            neighbors.check_size(memory.num_slots, 'target')

    def before_train(self, runner) -> None:
        """Compares the memories with the training data, and refuses settings that would spoil them."""
        head = memory_head(runner)
        if head.memory is not None:
            self._check_epochs(runner, head)
            _check_waiting(runner, head)
        if head.memories():
            self._host_group = host_group()
            _check_counts(runner)
            _check_other_hooks(runner)

    def _check_epochs(self, runner, head: MemoryHead) -> None:
        if isinstance(runner.train_loop, IterBasedTrainLoop):
            raise ValueError(
                'the momentum of the memory and the first epoch with neighbors count in epochs, which an '
                "iteration-based loop does not have; use train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=...)"
            )
        if self.alpha_per_run is not None:
            self.alpha = self.alpha_per_run / runner.max_epochs
        last = self.alpha * (runner.max_epochs - 1)
        if last > 1:
            raise ValueError(
                f'the momentum of the memory, alpha={self.alpha} of MemoryUpdateHook times the epoch, would reach '
                f'{last:g} in epoch {runner.max_epochs}, but must not exceed 1; set it to '
                f'{10**6 // (runner.max_epochs - 1) / 10**6:g} or less'
            )
        first = head.start_run(runner.max_epochs)
        if first is not None and first >= runner.max_epochs:
            runner.logger.warning(
                f'neighbors start at epoch {first + 1}, but training ends at epoch {runner.max_epochs}, so none are '
                'used; train longer, or lower model.head.invariance.neighbor_epoch'
            )

    def before_train_iter(self, runner, batch_idx: int, data_batch: DATA_BATCH = None) -> None:
        """Sets the epoch of the head, on which neighbors depend."""
        memory_head(runner).start_epoch(runner.epoch)

    def after_train_iter(
        self, runner, batch_idx: int, data_batch: DATA_BATCH = None, outputs: dict | None = None
    ) -> None:
        """Writes the features of the step, of all ranks, into the memories."""
        for memory in memory_head(runner).memories().values():
            pending = memory.take_pending()
            if pending is not None:
                memory.update(*of_all_ranks(pending, self._host_group), self.alpha * runner.epoch)

    def before_save_on_all_ranks(self, runner, path: str) -> None:
        """Saves the parts of a sharded memory beside the checkpoint ``path``, which is written afterwards."""
        memory = _sharded_memory(runner)
        if memory is not None:
            self._manifest = save_shards(memory, path)
            self._folder = osp.dirname(path)

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Names the parts of a sharded memory in the checkpoint, in place of the part of this rank."""
        if _sharded_memory(runner) is not None:
            checkpoint['state_dict'].pop(FEATURES, None)
            if self._manifest is not None:
                checkpoint['memory_shards'] = self._manifest
            self._manifest = None

    def after_train(self, runner) -> None:
        """Removes the parts of the last checkpoint that was replaced; each save removed those before it."""
        if self._folder is not None and is_main_process():
            remove_orphans(self._folder)

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Puts this rank's slots into the ``state_dict`` of a checkpoint, however many ranks saved it."""
        memories, state = memory_head(runner).memories(), checkpoint.get('state_dict', {})
        memory, source, of_source = memories.get('target'), memories.get('source'), state.get(SOURCE_FEATURES)
        if source is not None and source.features is not None and of_source is not None:
            _check_size(tuple(of_source.shape), source, 'source')
        manifest, found = checkpoint.get('memory_shards'), state.get(FEATURES)
        if manifest is not None:
            check_manifest(manifest)
        if memory is None or memory.features is None or (manifest is None and found is None):
            return
        if found is not None and found.shape == memory.features.shape:
            return
        size = tuple(manifest['size']) if manifest else tuple(found.shape)
        _check_size(size, memory, 'target')
        end = memory.first + len(memory.features)
        if manifest:
            folder = osp.dirname(str(runner._load_from))
            state[FEATURES] = load_slots(manifest, folder, memory.first, end)
        else:
            state[FEATURES] = found[memory.first : end]


def _sharded_memory(runner) -> ExemplarMemory | None:
    memory = memory_head(runner).memories().get('target')
    return memory if memory is not None and memory.sharded else None


def _source_and_target(runner) -> SourceTargetDataset:
    dataset = runner.train_dataloader.dataset
    if not isinstance(dataset, SourceTargetDataset):
        raise TypeError(
            f'an exemplar memory needs to know the target images, but {type(dataset).__name__} has none; use '
            "dict(type='SourceTargetDataset', datasets=[source, target])"
        )
    return dataset


def _check_waiting(runner, head: MemoryHead) -> None:
    if head.neighbors_wait and not any(isinstance(hook, NeighborStartHook) for hook in runner.hooks):
        raise ValueError(
            'model.head.invariance.neighbor_precision makes neighbors wait for a NeighborStartHook, which custom_hooks '
            'does not have; add the hook, or leave neighbor_precision out'
        )


def _check_counts(runner) -> None:
    memory, count = memory_head(runner).memories()['target'], _source_and_target(runner).num_target
    if count != memory.num_slots:
        raise ValueError(
            f'the exemplar memory has {memory.num_slots} slots, but the target set has {count} training images; '
            f'set model.head.memory.num_slots={count}, or leave it out'
        )
    source = memory_head(runner).memories().get('source')
    if source is None:
        return
    labels = memory_head(runner).learned_neighbors.labels
    if source.num_slots != len(labels):
        raise ValueError(
            f'the source memory has {source.num_slots} slots, but the source has {len(labels)} training images; leave '
            'model.head.invariance.neighbors.memory.num_slots out'
        )


def _check_other_hooks(runner) -> None:
    averages = [hook for hook in runner.hooks if isinstance(hook, EMAHook)]
    if any(hook.ema_cfg.get('update_buffers') for hook in averages):
        raise ValueError(
            'weight averaging with update_buffers=True would average the exemplar memory too; take update_buffers '
            'out of the EMAHook'
        )
    sharded = _sharded_memory(runner) is not None
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
