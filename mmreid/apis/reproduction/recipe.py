# Copyright (c) mmreid contributors. All rights reserved.
"""The config that a reproduction trains and tests: a shipped one with the user's folders and number of GPUs."""

import re
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmreid.datasets.samplers import GraphSampler, QAConvReferenceSampler
from mmreid.registry import DATA_SAMPLERS
from mmreid.utils.config import load_config

SHIPPED_ROOT = 'data/'
FOUND = re.compile(r'work_dirs/(?P<search>[^/]+)/arch\.json')


def make_recipe(config: Path, data_root: Path, gpus: int = 1, options: dict[str, Any] | None = None) -> Config:
    """Reads a shipped config, and puts the user's folder of data sets and number of GPUs into it.

    Args:
        config (Path): The config.
        data_root (Path): What stands for ``data`` in the config.
        gpus (int): Processes that share a batch. Defaults to 1.
        options (dict, optional): Entries of ``--cfg-options``. Defaults to None.

    Raises:
        ValueError: If the GPUs cannot share the batch.
    """
    cfg = load_config(str(config), options)
    for section in [*cfg]:
        cfg[section] = _moved(cfg[section], data_root)
    _share_batch(cfg, gpus)
    return cfg


def recipe_of_search(cfg: Config, config: Path) -> Path | None:
    """Finds the config of the search whose architecture a config trains; None if it has its architecture."""
    arch = cfg.model.get('arch')
    found = FOUND.fullmatch(arch) if isinstance(arch, str) else None
    return config.with_name(f'{found["search"]}.py') if found and not Path(arch).is_file() else None


def keeps_its_batch(cfg: Config) -> bool:
    """Whether every GPU has a batch of its own, whose identities belong together, instead of a part of one."""
    loader = cfg.train_dataloader
    types = [loader.sampler.type, loader.get('batch_sampler', {}).get('type')]
    classes = [DATA_SAMPLERS.get(name) for name in types if name]
    return any(isinstance(kind, type) and issubclass(kind, (GraphSampler, QAConvReferenceSampler)) for kind in classes)


def _share_batch(cfg: Config, gpus: int) -> None:
    """Divides the batch of the config by the GPUs, so that all of them together see it."""
    if gpus == 1 or keeps_its_batch(cfg):
        return
    loader = cfg.train_dataloader
    for holder in (loader, *loader.get('batch_sampler', {}).get('parts', ())):
        if holder.batch_size % gpus:
            raise ValueError(
                f'{gpus} GPUs cannot share a batch of {holder.batch_size}; use a number of GPUs that divides it'
            )
        holder.batch_size //= gpus


def _moved(value: Any, data_root: Path) -> Any:
    """Puts another folder in front of all paths that begin with ``data/``."""
    if isinstance(value, str):
        return f'{data_root}/{value.removeprefix(SHIPPED_ROOT)}' if value.startswith(SHIPPED_ROOT) else value
    if isinstance(value, dict):
        for key in [*value]:
            value[key] = _moved(value[key], data_root)
        return value
    if isinstance(value, (list, tuple)):
        return type(value)(_moved(item, data_root) for item in value)
    return value
