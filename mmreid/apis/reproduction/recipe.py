# Copyright (c) mmreid contributors. All rights reserved.
"""The config that a reproduction trains and tests: a shipped one with the user's folders and number of GPUs."""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmreid.datasets.samplers import GraphSampler, QAConvReferenceSampler
from mmreid.registry import DATA_SAMPLERS, MODELS
from mmreid.utils.config import load_config

SHIPPED_ROOT = 'data/'
#: Where a config expects what another one makes: keys of the config, and the name of the other one in the path.
MADE_BEFORE = {
    'model.arch': re.compile(r'work_dirs/(?P<config>[^/]+)/arch\.json'),
    'load_from': re.compile(r'work_dirs/(?P<config>[^/]+)/epoch_\d+\.pth'),
}


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


def recipe_before(key: str, config: Path, options: dict[str, Any] | None = None) -> Path | None:
    """Finds the config that makes what another one starts from.

    Args:
        key (str): ``'model.arch'`` for the search of its architecture, ``'load_from'`` for its first stage.
        config (Path): The config.
        options (dict, optional): Entries of ``--cfg-options``. Defaults to None.

    Returns:
        Path, optional: None if the config starts from nothing, or the options say from what.
    """
    value = load_config(str(config))
    for name in key.split('.'):
        value = value.get(name)
    found = MADE_BEFORE[key].fullmatch(value) if isinstance(value, str) and key not in (options or {}) else None
    return config.with_name(f'{found["config"]}.py') if found else None


def options_of_both(options: dict[str, Any], config: Path, stage1: Path) -> dict[str, Any]:
    """Leaves out those entries of ``--cfg-options`` for parts that a config has and its first stage does not."""
    later, first = (load_config(str(path)).to_dict() for path in (config, stage1))
    return {key: value for key, value in options.items() if _has_parent(first, key) or not _has_parent(later, key)}


def _has_parent(cfg: Any, key: str) -> bool:
    for name in key.split('.')[:-1]:
        if not isinstance(cfg, dict) or not isinstance(cfg.get(name), (dict, list)):
            return False
        cfg = cfg[name]
        if isinstance(cfg, list):
            return True
    return True


def keeps_its_batch(cfg: Config) -> bool:
    """Whether every GPU has a batch of its own, whose identities belong together, instead of a part of one."""
    loader = cfg.train_dataloader
    types = [loader.sampler.type, loader.get('batch_sampler', {}).get('type')]
    classes = [DATA_SAMPLERS.get(name) for name in types if name]
    return any(isinstance(kind, type) and issubclass(kind, (GraphSampler, QAConvReferenceSampler)) for kind in classes)


def _share_batch(cfg: Config, gpus: int) -> None:
    """Divides the batch of the config by the GPUs, so that all of them together see it, and compares all of it."""
    if gpus == 1 or keeps_its_batch(cfg):
        return
    loader = cfg.train_dataloader
    at_least = max((entry['ghost_size'] for entry in _dicts(cfg.model) if 'ghost_size' in entry), default=1)
    holders = [loader, *loader.get('batch_sampler', {}).get('parts', ())]
    smallest = min(holder.batch_size for holder in holders)
    if smallest // gpus < at_least:
        raise ValueError(
            f'{gpus} GPUs leave {smallest // gpus} of {smallest} images to each, fewer than the {at_least} that the '
            f'batch norms of this method take together (ghost_size); use at most {smallest // at_least}'
        )
    for holder in holders:
        if holder.batch_size % gpus:
            raise ValueError(
                f'{gpus} GPUs cannot share a batch of {holder.batch_size}; use a number of GPUs that divides it'
            )
        holder.batch_size //= gpus
    _gather(cfg.model.head)


def _gather(head: dict) -> None:
    """Lets a head, or else its losses, compare the images of all ranks where they can, unless options say otherwise."""
    if any('gather' in entry for entry in _dicts(head)):
        return
    for entry in _dicts(head):
        kind = MODELS.get(entry['type']) if 'type' in entry else None
        if isinstance(kind, type) and _takes(kind, 'gather'):
            entry['gather'] = True
            if entry is head:
                return


def _takes(kind: type, argument: str) -> bool:
    """Whether a class takes an argument itself, or passes it to a base."""
    own = [base.__init__ for base in kind.__mro__ if '__init__' in vars(base)]
    return any(argument in inspect.signature(init).parameters for init in own)


def _dicts(value: Any) -> Iterator[dict]:
    """Yields all dictionaries in a config, the outer ones first."""
    if isinstance(value, dict):
        yield value
        value = [*value.values()]
    for item in value if isinstance(value, (list, tuple)) else ():
        yield from _dicts(item)


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
