# Copyright (c) mmreid contributors. All rights reserved.
"""Shrinks a shipped config so that it runs in a test.

This is the only place that may change a config, and only its data root, depth and width, input size, initial weights,
batch size and workers. Everything else runs as shipped.
"""

import uuid
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmreid.utils.config import load_config

ROOT = Path(__file__).parents[1]
SIZE = (64, 32)  # height, width
WIDTH = 32  # channels of the shrunk backbone's last stage
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def shipped_configs() -> list[str]:
    """Lists the configs that users run."""
    folder = ROOT / 'configs'
    files = [path for path in folder.rglob('*.py') if '_base_' not in path.parts]
    return sorted(str(path.relative_to(folder)) for path in files)


def tiny_config(name: str, data_root: Path, work_dir: Path) -> Config:
    """Reads a shipped config and shrinks it.

    Args:
        name (str): The config, relative to ``configs``.
        data_root (Path): A small data set in the layout that the config expects.
        work_dir (Path): Where results go.

    Returns:
        Config: The shrunk config.
    """
    cfg = load_config(str(ROOT / 'configs' / name))
    # Two identities at least, or a batch has no negatives.
    batch_size = 16 if cfg.model.type == 'CrossModalReID' else 8
    for loader in LOADERS:
        for entry in _as_list(cfg.get(loader)):
            entry.num_workers = 0
            entry.batch_size = batch_size
            dataset = _innermost(entry.dataset)
            dataset.data_root = str(data_root)
            for step in dataset.pipeline:
                _shrink_step(step)
    _shrink_model(cfg.model)
    cfg.work_dir = str(work_dir)
    cfg.experiment_name = uuid.uuid4().hex  # MMEngine keeps one logger per name and process
    cfg.launcher = 'none'
    return cfg


def layout_of(name: str) -> str:
    """Tells which data set a config tests on.

    Args:
        name (str): The config, relative to ``configs``.

    Returns:
        str: Name of the data set's class.
    """
    return _innermost(load_config(str(ROOT / 'configs' / name)).test_dataloader.dataset).type


def _innermost(dataset: dict) -> dict:
    return _innermost(dataset['dataset']) if 'dataset' in dataset else dataset


def _as_list(value: Any) -> list:
    return value if isinstance(value, list) else [value] if value else []


def _shrink_step(step: dict) -> None:
    if step['type'] == 'Resize':
        step['scale'] = SIZE[::-1]
    if 'crop_size' in step:
        step['crop_size'] = SIZE


def _shrink_model(model: dict) -> None:
    backbone = model.get('backbone')
    if backbone is None:
        return
    if backbone['type'] != 'ResNet':
        raise ValueError(f'say in {__file__} how {backbone["type"]} is made small')
    backbone.update(depth=18, base_channels=WIDTH // 8, init_cfg=None)
    for part in ('neck', 'head'):
        model[part]['in_channels'] = WIDTH
    if str(model.get('arch')).endswith('.json'):
        model['arch'] = 'split'  # stands in for what a search writes
