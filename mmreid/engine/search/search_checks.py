# Copyright (c) mmreid contributors. All rights reserved.
"""Checks of what an architecture search needs, before it starts."""

import logging
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.optim import AmpOptimWrapper, OptimWrapper, OptimWrapperDict
from torch import nn

from mmreid.datasets.preparation.leaks import shared_images
from mmreid.models.heads import CrossModalHead
from mmreid.models.reid import BaseReID

WRAPPERS = ('weights', 'arch')
EXAMPLE = "dict(type='ArchSearchLoop', arch_dataloader=dict(dataset=dict(part=1)), ...)"


def check_arguments(
    max_epochs: int, warmup_epochs: int, arch_interval: int, bilevel: bool, order: str, has_arch_dataloader: bool
) -> None:
    """Raises ValueError if an argument of ``ArchSearchLoop`` is out of range, or two contradict each other."""
    if order not in ('first', 'second'):
        raise ValueError(f"order={order!r} of ArchSearchLoop is unknown; use 'first' or 'second'")
    if order == 'second' and not bilevel:
        raise ValueError("order='second' of ArchSearchLoop has no meaning with bilevel=False; leave one of them out")
    if not 0 <= warmup_epochs < max_epochs:
        raise ValueError(
            f'warmup_epochs={warmup_epochs} of ArchSearchLoop must be at least 0 and below max_epochs={max_epochs}, or '
            'nothing is searched'
        )
    if arch_interval < 1:
        raise ValueError(f'arch_interval={arch_interval} of ArchSearchLoop must be at least 1')
    if bilevel and not has_arch_dataloader:
        raise ValueError(
            'ArchSearchLoop has no arch_dataloader, whose images the architecture is judged by; give what it differs '
            f'in from train_dataloader: train_cfg = {EXAMPLE}, or search on the training images with bilevel=False'
        )
    if not bilevel and has_arch_dataloader:
        raise ValueError(
            'ArchSearchLoop has bilevel=False and an arch_dataloader, whose images it would never use; set '
            'arch_dataloader=None, and give train_dataloader all images'
        )


def check_model(model: nn.Module, bilevel: bool, order: str) -> None:
    """Raises ValueError if an unwrapped model has nothing to search, or cannot be searched in this way."""
    if not isinstance(model, BaseReID) or model.mutator is None:
        raise ValueError(
            f'ArchSearchLoop has nothing to search in {type(model).__name__}; use '
            "model = dict(type='CrossModalReID', mutator=dict(type='BNMutator'), ...)"
        )
    if order == 'second' and model.mutator.weight_paths == 'sampled':
        raise ValueError(
            "order='second' of ArchSearchLoop needs the effect of the architecture on the weight step, which "
            "single paths do not show; set model.mutator=dict(weight_paths='mixed'), or order='first'"
        )
    losses = model.head.used if isinstance(model.head, CrossModalHead) else None
    if bilevel and losses and 'ce' in losses['arch'] and 'ce' not in losses['weights']:
        raise ValueError(
            "model.head.arch_losses has 'ce' but weight_losses has not, so the architecture would be judged by a "
            "classifier that nobody trains; give 'ce' to both or to weight_losses alone, or to none"
        )


def check_optimizers(wrappers: OptimWrapper | OptimWrapperDict, model: nn.Module, order: str) -> None:
    """Raises ValueError unless weights and architecture have one optimizer each, of a kind that a search can use."""
    if not isinstance(wrappers, OptimWrapperDict) or set(wrappers.keys()) != set(WRAPPERS):
        found = ', '.join(wrappers.keys()) if isinstance(wrappers, OptimWrapperDict) else 'one optimizer'
        raise ValueError(
            f"ArchSearchLoop needs the optimizers 'weights' and 'arch', but optim_wrapper has {found}; write "
            "optim_wrapper = dict(constructor='MultiOptimWrapperConstructor', weights=dict(optimizer=...), "
            "arch=dict(optimizer=..., modules=['mutator']))"
        )
    owned = {id(entry) for group in wrappers['arch'].optimizer.param_groups for entry in group['params']}
    if owned != {id(model.mutator.logits)}:
        raise ValueError(
            "optim_wrapper.arch must own the parameters of the mutator and no others; give it modules=['mutator']"
        )
    for name in WRAPPERS:
        if wrappers[name]._accumulative_counts > 1:
            raise ValueError(
                f'optim_wrapper.{name} accumulates gradients over {wrappers[name]._accumulative_counts} steps, '
                'between which ArchSearchLoop clears them; set accumulative_counts=1'
            )
    if order == 'second' and isinstance(wrappers['weights'], AmpOptimWrapper):
        raise ValueError(
            "order='second' of ArchSearchLoop takes the difference of nearly equal gradients, for which mixed "
            "precision is too coarse; use order='first' or no AMP"
        )


def check_data(weights: Any, arch: Any, logger: logging.Logger) -> None:
    """Raises ValueError if an identity has images for one kind of step only; warns of images that serve both.

    Args:
        weights (BaseReIDDataset | ImageSplit): Images that train the weights.
        arch (BaseReIDDataset | ImageSplit): Images that judge the architecture.
        logger (logging.Logger): Receives the warning.
    """
    pids = [np.unique(dataset.pids) for dataset in (weights, arch)]
    if not np.array_equal(*pids):
        different = np.setxor1d(*pids)
        raise ValueError(
            f'the images of the weights show {len(pids[0])} identities and those of the architecture {len(pids[1])}, '
            f'but both must show the same; {len(different)} are on one side only, e.g. pid {different[0]}. Divide the '
            "images with dataset=dict(type='ImageSplit', part=0, ...)"
        )
    shared = shared_images(weights, arch)
    if shared:
        logger.warning(
            f'{len(shared)} of {len(arch)} images of the architecture steps also train the weights, which makes every '
            f'architecture look good; the first is {shared[0]}. Divide the images with '
            "dataset=dict(type='ImageSplit', part=0, ...) and arch_dataloader=dict(dataset=dict(part=1))"
        )


def check_identity_splits(cfg: Config) -> None:
    """Raises ValueError unless training and validation set are the two parts of the same ``IdentitySplit``."""
    known: dict[str, dict] = {}
    for loader, part in (('train_dataloader', 'train'), ('val_dataloader', 'held_out')):
        dataset = cfg.get(loader, {}).get('dataset', {}) if isinstance(cfg.get(loader), dict) else {}
        if dataset.get('type') != 'IdentitySplit' or dataset.get('part') != part:
            raise ValueError(
                f'{loader}.dataset of ShortTrainingSearchLoop must be one part of the training identities, '
                f"dict(type='IdentitySplit', part='{part}', dataset=...), but its type is {dataset.get('type')!r} and "
                f'its part {dataset.get("part")!r}'
            )
        known[loader] = {key: dataset.get(key) for key in ('folds', 'seed')}
    if known['train_dataloader'] != known['val_dataloader']:
        raise ValueError(
            f'the IdentitySplit of train_dataloader has {known["train_dataloader"]} and that of val_dataloader '
            f'{known["val_dataloader"]}, so people would be trained on and judged by; give both the same'
        )
