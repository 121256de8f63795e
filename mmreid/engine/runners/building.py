# Copyright (c) mmreid contributors. All rights reserved.
"""What ReIDRunner fills in or checks while it builds its parts."""

import copy
from datetime import timedelta
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import is_distributed
from mmengine.logging import MMLogger
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import nn
from torch.utils.data import Dataset

from mmreid.datasets import BaseReIDDataset
from mmreid.models import CrossModalReID
from mmreid.utils.arch_io import STATES


def check_seed(seed: Any) -> None:
    """Refuses a seed that NumPy does not take."""
    if seed is not None and (not isinstance(seed, int) or not 0 <= seed < 2**32):
        raise ValueError(f'randomness.seed={seed!r} must be a whole number from 0 to {2**32 - 1}, or None')


def start_cpu_group(launcher: str, env_cfg: dict) -> None:
    """Starts gloo ranks where there is no GPU, and no group runs yet."""
    if is_distributed() or torch.cuda.is_available():
        return
    if launcher != 'pytorch':
        raise RuntimeError(f"launcher='{launcher}' needs a GPU; on the CPU start with tools/dist_train.sh")
    torch.distributed.init_process_group('gloo', **_timeout(env_cfg))


def _timeout(env_cfg: dict) -> dict:
    """Returns torch's argument for ``env_cfg.dist_cfg.timeout``: seconds that a rank waits for the others."""
    seconds = (env_cfg.get('dist_cfg') or {}).get('timeout')
    if seconds is None:
        return {}
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds > 0:
        raise ValueError(f'env_cfg.dist_cfg.timeout={seconds!r} must be a number of seconds above 0, such as 1800')
    return dict(timeout=timedelta(seconds=seconds))


def wants_channels_last(cfg: Config) -> bool:
    """Reads ``channels_last`` of a config."""
    value = cfg.get('channels_last', False)
    if not isinstance(value, bool):
        raise TypeError(f'channels_last={value!r} of the config must be True or False')
    return value


def cpu_wrapper(cfg: Config, model_wrapper_cfg: dict | None) -> dict:
    """Returns the config of the model wrapper for ranks that share the CPU, which have no device ids."""
    defaults = dict(
        type='MMDistributedDataParallel',
        broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False),
    )
    return {**defaults, **(model_wrapper_cfg or {}), 'device_ids': None}


def complete_dataloader(dataloader: dict) -> dict:
    """Returns a dataloader config with our worker seeding and collate function, without what torch would refuse."""
    dataloader = copy.copy(dataloader)
    dataloader.setdefault('worker_init_fn', dict(type='epoch_worker_init_fn'))
    dataloader.setdefault('collate_fn', dict(type='reid_collate'))
    if 'batch_sampler' in dataloader and 'num_batch_per_epoch' in dataloader:
        raise ValueError(
            'num_batch_per_epoch has no effect beside a batch sampler; set batches_per_epoch of the sampler '
            "instead: sampler=dict(type='RandomIdentitySampler', batches_per_epoch=...)"
        )
    if not dataloader.get('num_workers'):
        dataloader.pop('persistent_workers', None)
        dataloader.pop('prefetch_factor', None)
    return dataloader


def count_classes(dataset: Dataset) -> int:
    """Counts the identities of a training set; 0 for a data set of another project, which does not say."""
    return dataset.num_classes if isinstance(dataset, BaseReIDDataset) else 0


def fill_num_classes(head: dict, found: int) -> None:
    """Sets ``num_classes`` of a head config to the number of identities in the training data, or checks it."""
    given = head.get('num_classes')
    if given is None:
        head['num_classes'] = found or None
    elif given < found:
        raise ValueError(
            f'model.head.num_classes={given}, but the training data has {found} identities; leave num_classes '
            'out, it is counted in the data'
        )


def copy_arch(cfg: Config, arch: Any, model: nn.Module) -> None:
    """Copies the architecture that a model read from a file into the config, so checkpoints do not need the file."""
    if isinstance(arch, str) and arch not in STATES and isinstance(model, CrossModalReID) and model.arch:
        cfg.merge_from_dict(dict(model=dict(arch=dict(model.arch, _delete_=True))))


def scale_rates(optim_wrapper: OptimWrapper, base: int | None, batch_size: int, logger: MMLogger) -> None:
    """Scales the learning rates by the batch size over all ranks, relative to ``base``, for which they were chosen."""
    if not base:
        raise ValueError(
            'auto_scale_lr is enabled without base_batch_size, the batch size over all GPUs that the learning rate '
            'was chosen for; add it: auto_scale_lr = dict(base_batch_size=64)'
        )
    for wrapper in optim_wrapper.values() if isinstance(optim_wrapper, OptimWrapperDict) else [optim_wrapper]:
        for group in wrapper.optimizer.param_groups:
            scaled = group['lr'] * batch_size / base
            logger.info(f'learning rate {group["lr"]:g} x ({batch_size} / {base}) = {scaled:g}')
            group['lr'] = scaled
