# Copyright (c) mmreid contributors. All rights reserved.
"""Counts the parameters of a model and the FLOPs of an image and of a pair: ``get_flops.py CONFIG [--shape H W]``."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from terminaltables import AsciiTable

import mmreid  # noqa: F401  checks the installation
from mmreid.models.complexity import TRAINING_ONLY, Complexity, count_complexity
from mmreid.registry import MODELS, TRANSFORMS
from mmreid.utils.arch_io import STATES
from mmreid.utils.config import OptionsAction, load_config
from mmreid.utils.one_line_errors import one_line_errors
from mmreid.utils.registry_hints import suggest_names
from mmreid.utils.setup_env import register_all_modules

CAMERAS = 6  # of Market-1501


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description='Count parameters and FLOPs. No weights are loaded or downloaded.')
    parser.add_argument('config', help='config file')
    parser.add_argument('--shape', type=int, nargs=2, metavar=('H', 'W'), help='of the image; default: as in testing')
    parser.add_argument('--cfg-options', nargs='+', action=OptionsAction, help='override config entries, key=value ...')
    args = parser.parse_args(argv)
    if args.shape and min(args.shape) < 1:
        parser.error(f'--shape {args.shape[0]} {args.shape[1]}: height and width must be at least 1')
    return args


def input_size(cfg: Config) -> tuple[int, int]:
    """Finds height and width of the images that a model is tested with; a ValueError if they depend on the image."""
    if 'size' in cfg.model and cfg.get('test_dataloader') is None:
        return tuple(cfg.model.size)
    loaders = cfg.get('test_dataloader') or []
    loader = loaders[0] if isinstance(loaders, (list, tuple)) and loaders else loaders
    if not loader:
        raise ValueError('the config has no test_dataloader with the size of the images; give --shape H W')
    dataset = loader.dataset
    while 'pipeline' not in dataset:
        dataset = dataset.get('dataset') or dataset.datasets[0]
    sizes = {_through(dataset.pipeline, shape) for shape in ((211, 97), (150, 60))}
    if len(sizes) > 1:
        raise ValueError('the test pipeline of the config does not resize images to one size; give --shape H W')
    return sizes.pop()


def _through(pipeline: Sequence[dict], shape: tuple[int, int]) -> tuple[int, int]:
    results = dict(img=np.zeros((*shape, 3), np.uint8), img_shape=shape, ori_shape=shape)
    for step in pipeline:
        if step['type'].rpartition('.')[2].startswith('Pack'):
            break
        if not step['type'].rpartition('.')[2].startswith('Load'):
            results = TRANSFORMS.build(step)(results)
    return results['img'].shape[:2]


def complete(model: dict[str, Any]) -> list[str]:
    """Fills in what only the data or an earlier run provides, where it matters little; returns notes on that."""
    notes = []
    arch, split = model.get('arch'), 'a split norm has twice the parameters, but costs an image the same'
    if model.get('mutator'):
        model['arch'], model['mutator'] = 'share', None
        notes.append(f'the searched norms are counted as shared; {split}')
    elif isinstance(arch, str) and arch not in STATES and not Path(arch).is_file():
        model['arch'] = 'share'
        notes.append(f'{arch} does not exist, so all norms are counted as shared; {split}')
    if model['type'] == 'CamStyleGAN' and model.get('cameras') is None:
        model['cameras'] = list(range(CAMERAS))
        notes.append(f'the number of cameras comes from the data; {CAMERAS} are assumed')
    if 'head' in model and 'num_classes' not in model['head']:
        notes.append('the head has no classifier: the number of identities comes from the data')
    return notes


def table(found: Complexity) -> str:
    """Draws the table of a model, a row per part."""
    used = [part for part in (*found.flops, *found.params) if part not in (*TRAINING_ONLY, 'matcher')]
    rows = [[part, _short(found.params.get(part, 0)), _short(found.flops.get(part, 0))] for part in dict.fromkeys(used)]
    of_image = found.used_params - found.params.get('matcher', 0)
    rows.append(['an image', _short(of_image), _short(sum(found.flops.values()))])
    if found.pair_flops is not None:
        rows.append(['matcher, a pair', _short(found.params.get('matcher', 0)), _short(found.pair_flops)])
    rows += [[f'{part}, training', _short(found.params[part]), ''] for part in TRAINING_ONLY if part in found.params]
    shown = AsciiTable([['part', 'parameters', 'FLOPs'], *rows])
    shown.justify_columns = {1: 'right', 2: 'right'}
    return shown.table


def _short(count: int) -> str:
    for unit, size in (('G', 1e9), ('M', 1e6), ('K', 1e3)):
        if count >= size:
            return f'{count / size:.3f} {unit}'
    return str(count)


def main(argv: Sequence[str] | None = None) -> None:
    """Counts and prints."""
    args = parse_args(argv)
    cfg = load_config(args.config, args.cfg_options, required=['model'])
    register_all_modules()
    notes = complete(cfg.model)
    with suggest_names():
        size = tuple(args.shape or input_size(cfg))
        found = count_complexity(MODELS.build(cfg.model), size)
    print(table(found))
    print(f'input {size[0]}x{size[1]} (height x width), feature {"x".join(map(str, found.feature))}')
    print('FLOPs are multiply-adds.')
    if found.uncounted:
        ops = sorted(found.uncounted.items(), key=lambda entry: -entry[1])
        print(
            'not counted, as there is no rule for them: '
            + ', '.join(f'{n} x {name.split("::")[-1]}' for name, n in ops)
        )
    for note in notes:
        print(f'note: {note}')


if __name__ == '__main__':
    torch.set_num_threads(1)
    with one_line_errors():
        main()
