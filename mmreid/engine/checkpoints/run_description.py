# Copyright (c) mmreid contributors. All rights reserved.
"""Describes what a run is trained with, as plain data for its checkpoints: its images and its settings."""

import hashlib
import inspect
import os.path as osp
from typing import Any

import numpy as np
from mmengine.runner import Runner
from torch.utils.data import Dataset

from mmreid.datasets.contract import ReIDData, inner_datasets

KEY = 'trained_with'  # in the meta of a checkpoint
COUNTS = ('images', 'identities', 'cameras')
SECTIONS = (
    'model',
    'data_preprocessor',
    'optim_wrapper',
    'param_scheduler',
    'train_dataloader',
    'train_cfg',
    'custom_hooks',
    'randomness',
    'channels_last',
    'sync_bn',
)
# What may change freely: where data is, and how fast it is read. The images themselves are compared.
FREE = {
    'model': {'init_cfg'},
    'train_dataloader': {
        *('num_workers', 'pin_memory', 'persistent_workers', 'prefetch_factor', 'timeout', 'worker_init_fn'),
        *('data_root', 'data_prefix', 'ann_file', 'folder', 'backend_args', 'file_client_args', 'name'),
        *('lazy_init', 'serialize_data'),
    },
    'train_cfg': {'val_interval', 'val_begin', 'dynamic_intervals'},
}


def describe_run(runner: Runner) -> dict:
    """Describes what a run depends on, in plain data.

    Args:
        runner (Runner): A runner whose training data is built.

    Returns:
        dict: ``data``, one entry for each training set with its ``name``, number of ``images``, ``identities`` and
        ``cameras`` and a ``sha256`` over names and labels; and ``config``, the settings as text by dotted name.
    """
    config: dict[str, str] = {}
    for section in SECTIONS:
        if runner.cfg.get(section) is not None:
            _flatten(runner.cfg[section], section, FREE.get(section, set()), config)
    scaling = runner.cfg.get('auto_scale_lr') or {}
    if scaling.get('enable'):
        _flatten(scaling, 'auto_scale_lr', set(), config)
    config['world_size'] = str(runner.world_size)
    if config.get('randomness.seed') == 'None':
        del config['randomness.seed']
    return dict(data=describe_data(runner.train_dataloader.dataset), config=config)


def note_seed(runner: Runner, description: dict) -> None:
    """Stores the seed that a resumed run continues with in its description."""
    if 'randomness.seed' in description['config']:
        description['config']['randomness.seed'] = str(runner.seed)


def describe_data(dataset: Dataset) -> list[dict]:
    """Counts and hashes the images of each part of a training set, wrapped or not; their folder does not matter."""
    return [entry for inner in inner_datasets(dataset) for entry in _describe_parts(inner)]


def _describe_parts(dataset: ReIDData) -> list[dict]:
    names = dataset.part_names
    domains = dataset.domains if len(names) > 1 else np.zeros(len(dataset), dtype=np.int64)
    return [_describe_part(dataset, name, np.flatnonzero(domains == part)) for part, name in enumerate(names)]


def _describe_part(dataset: ReIDData, name: str, indices: np.ndarray) -> dict:
    records = [dataset.get_data_info(index) for index in indices.tolist()]
    paths = [osp.split(record['img_path']) for record in records]
    folders = {folder: osp.abspath(folder) for folder, _ in paths}
    root = osp.commonpath(folders.values()) if folders else ''
    inside = {folder: osp.relpath(whole, root).replace(osp.sep, '/') for folder, whole in folders.items()}
    ids = np.array([[record.get(key, -1) for key in ('gt_label', 'pid', 'camid')] for record in records])
    if len(indices) < len(dataset):
        ids -= ids.min(axis=0)  # the ids of a part follow those of the parts before it
    digest = hashlib.sha256()
    for (folder, file), labels, record in zip(paths, ids.tolist(), records, strict=True):
        line = f'{inside[folder]}/{file}\0{labels}\0{record.get("modality")}\n'
        digest.update(line.encode('utf-8', 'surrogateescape'))
    counts = (len(records), len({record['pid'] for record in records}), len({record['camid'] for record in records}))
    return dict(name=name, **dict(zip(COUNTS, counts, strict=True)), sha256=digest.hexdigest())


def _flatten(value: Any, key: str, free: set[str], found: dict[str, str]) -> None:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name not in free:
                _flatten(inner, f'{key}.{name}', free, found)
    elif (
        isinstance(value, (list, tuple)) and value and all(isinstance(item, dict) and 'type' in item for item in value)
    ):
        # Items are identified by type, so that a new one does not change the names of those after it.
        names: list[str] = []
        for item in value:
            kind = _name(item['type'])
            names.append(f'{kind}#{names.count(kind) + 1}' if kind in names else kind)
            _flatten({k: v for k, v in item.items() if k != 'type'}, f'{key}[{names[-1]}]', free, found)
        found[f'{key}.type'] = ', '.join(names)
    else:
        found[key] = _text(value)


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return '{' + ', '.join(f'{name}: {_text(inner)}' for name, inner in value.items()) + '}'
    if isinstance(value, (list, tuple)):
        return '[' + ', '.join(map(_text, value)) + ']'
    plain = value is None or isinstance(value, (bool, int, float, str))
    return repr(value) if plain else _name(value)  # the repr of an object holds its address


def _name(value: Any) -> str:
    if isinstance(value, str):
        return value
    named = value if inspect.isclass(value) or inspect.isroutine(value) else type(value)
    return named.__qualname__
