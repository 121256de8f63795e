# Copyright (c) mmreid contributors. All rights reserved.
"""Shrinks a shipped config so that it runs in a test.

This is the only place that may change a config, and only its data root, depth and width, input size, initial weights,
batch size and workers. Everything else runs as shipped.
"""

import copy
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmreid.utils.config import load_config

ROOT = Path(__file__).parents[1]
SIZE = (64, 32)  # height, width
# What makes a backbone small, and its channels then: of each stage, or of the last.
SMALL = dict(
    ResNet=(dict(depth=18, base_channels=4), (4, 8, 16, 32)),
    ResNetIBN=(dict(base_channels=4), (16, 32, 64, 128)),
    ResNetNL=(dict(depth=18, base_channels=4, non_local=(0, 1, 1, 0)), (4, 8, 16, 32)),
    OSNet=(dict(arch='x0_25'), (64, 96, 128, 128)),
    MobileNetV2=(dict(widen_factor=0.1), (8, 8, 8, 8, 8, 16, 32, 1280)),
    RegNet=(dict(arch=dict(w0=8, wa=10, wm=2.0, group_w=8, depth=5, bot_mul=1.0)), 64),
    ConvNeXt=(dict(arch=dict(depths=[1, 1, 1, 1], channels=[4, 8, 16, 32])), 32),
    SwinTransformer=(dict(arch=dict(embed_dims=4, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2]), img_size=SIZE), 32),
    VisionTransformer=(
        dict(arch=dict(embed_dims=16, num_layers=1, num_heads=2, feedforward_channels=32), img_size=SIZE),
        16,
    ),
)
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def shipped_configs() -> list[str]:
    """Lists the configs that users run."""
    folder = ROOT / 'configs'
    files = [path for path in folder.rglob('*.py') if '_base_' not in path.parts]
    return sorted(str(path.relative_to(folder)) for path in files)


def tiny_config(name: str, data_root: Path | Callable[[str], Path], work_dir: Path) -> Config:
    """Reads a shipped config and shrinks it.

    Args:
        name (str): The config, relative to ``configs``.
        data_root (Path | Callable): A small data set in the layout that the config expects; or what gives one for
            the name of a data set's class.
        work_dir (Path): Where results go.

    Returns:
        Config: The shrunk config.
    """
    cfg = load_config(str(ROOT / 'configs' / name))
    # Two identities at least, or a batch has no negatives.
    batch_size = 16 if 'CrossModal' in cfg.model.type else 8
    for loader in LOADERS:
        for entry in _as_list(cfg.get(loader)):
            entry.num_workers = 0
            entry.batch_size = batch_size
            for part in entry.get('batch_sampler', {}).get('parts', ()):
                part.batch_size = batch_size // len(entry.batch_sampler.parts)
            for drawing in (entry.get('batch_sampler', {}), *entry.get('batch_sampler', {}).get('parts', ())):
                drawing = drawing.get('batch_sampler', drawing)
                if drawing.get('type') == 'MultiGalleryBatchSampler':
                    drawing.num_instances = 4
            instance_sampler = entry.get('batch_sampler', {}).get('instance_sampler', {})
            if instance_sampler.get('num_instances', 0) > batch_size // 2:
                instance_sampler.num_instances = batch_size // 2
            whole = _innermost(entry.dataset)
            for dataset in whole.get('datasets', [whole]):
                root = data_root(dataset.type) if callable(data_root) else data_root
                dataset.data_root = str(root)
                for step in dataset.pipeline:
                    _shrink_step(step, root)
    for hook in cfg.get('custom_hooks', ()):
        if hook.type == 'PseudoLabelHook':
            hook.clustering.update(k1=5, k2=2, min_samples=2)  # six images of each person
    _shrink_model(cfg.model)
    cfg.work_dir = str(work_dir)
    cfg.experiment_name = uuid.uuid4().hex  # MMEngine keeps one logger per name and process
    cfg.launcher, cfg.load_from = 'none', None  # the stage before is not there
    return cfg


def layout_of(name: str) -> str:
    """Tells which data set a config tests on, the first if there are several.

    Args:
        name (str): The config, relative to ``configs``.

    Returns:
        str: Name of the data set's class.
    """
    return _innermost(_as_list(load_config(str(ROOT / 'configs' / name)).test_dataloader)[0].dataset).type


def _innermost(dataset: dict) -> dict:
    return _innermost(dataset['dataset']) if 'dataset' in dataset else dataset


def _as_list(value: Any) -> list:
    return value if isinstance(value, list) else [value] if value else []


def _shrink_step(step: dict, root: Path) -> None:
    if step['type'] == 'Resize':
        step['scale'] = SIZE[::-1]
    if step['type'] in ('RandomResizedCrop', 'UprightCrop'):
        step['scale'] = SIZE
    if step.get('folder'):
        step['folder'] = str(root / Path(step['folder']).name)
    if 'crop_size' in step:
        step['crop_size'] = SIZE
    for view in (*step.get('visible', ()), *step.get('infrared', ())):
        for inner in view:
            _shrink_step(inner, root)


def _shrink_model(model: dict) -> None:
    backbone = model.get('backbone')
    if model['type'] == 'CamStyleGAN':
        model.update(size=SIZE)
        model['generator'].update(base_channels=4, num_blocks=1)
        model['discriminator'].update(base_channels=4, num_layers=5)
    if backbone is None:
        return
    if backbone['type'] not in SMALL:
        raise ValueError(f'say in {__file__} how {backbone["type"]} is made small')
    changes, width = SMALL[backbone['type']]
    backbone.update(copy.deepcopy(changes), init_cfg=None)
    if isinstance(width, tuple):
        width = width[backbone.get('out_indices', (3,))[-1]]
    for part in ('neck', 'head'):
        if 'in_channels' in model[part]:
            model[part]['in_channels'] = width
        if 'out_channels' in model[part]:
            model[part]['out_channels'] = width
        if 'num_parts' in model[part]:
            model[part]['num_parts'] = 2  # the maps are 4 rows high at most
    neighbors = model.get('head', {}).get('invariance', {}).get('neighbors') or {}
    if neighbors.get('type') == 'GraphPositivePrediction':
        neighbors.update(k=3, channels=(8, 4))  # a data set of a few images has not more
    if 'size' in model.get('matcher', {}):
        model['matcher']['size'] = (SIZE[0] // 16, SIZE[1] // 16)
        if model['head'].get('loss_memory'):
            model['head']['loss_memory']['size'] = model['matcher']['size']
    if str(model.get('arch')).endswith('.json'):
        model['arch'] = 'split'  # stands in for what a search writes
