# Copyright (c) mmreid contributors. All rights reserved.
"""The table of recipes in docs/en/user_guides/backbones.md: each row gives what it promises, and its weights fit."""

import ast

import pytest
import torch
import torchvision
from mmengine.runner.checkpoint import get_torchvision_models
from tiny_config import ROOT

from mmreid.registry import MODELS
from mmreid.utils.meta_device import meta_device
from mmreid.utils.torchvision_names import to_mmpretrain

PAGE = (ROOT / 'docs' / 'en' / 'user_guides' / 'backbones.md').read_text()
CELLS = [[cell.strip(' `') for cell in line.split('|')[1:-1]] for line in PAGE.splitlines() if line.startswith('| ')]
ROWS = {cells[0]: cells[1:] for cells in CELLS if len(cells) == 7 and cells[1].startswith('dict(')}
TORCHVISION = [name for name, cells in ROWS.items() if cells[5].startswith('torchvision://')]
NEW = ('.non_local.', '.IN.')  # what plain weights lack


def config_of(name, changes=''):
    call = ast.parse(ROWS[name][0].removesuffix(')') + f', {changes})', mode='eval').body
    return {word.arg: ast.literal_eval(word.value) for word in call.keywords}


def output_shape(config):
    with meta_device():
        return tuple(MODELS.build(config)(torch.empty(2, 3, 256, 128))[-1].shape)


def test_the_table_is_there():
    assert len(ROWS) >= 20 and len(TORCHVISION) >= 7


@pytest.mark.parametrize('name', ROWS)
def test_the_recipe_holds(name):
    _, channels, changes, map_channels, size, _ = ROWS[name]
    shape = output_shape(config_of(name))
    assert shape[1] == int(channels)
    if changes:
        shape = output_shape(config_of(name, changes))
    assert shape == (2, int(map_channels), *ast.literal_eval(size))


@pytest.mark.parametrize('name', TORCHVISION)
def test_torchvisions_weights_fit(name):
    """By names and shapes: every entry of the backbone is there but what is new in it, and only the classifier is
    left over."""
    model = ROWS[name][5].removeprefix('torchvision://')
    assert model in get_torchvision_models()
    network = getattr(torchvision.models, model.partition('.')[0])(weights=None)
    official = to_mmpretrain(model, network.state_dict())
    with meta_device():
        backbone = MODELS.build(config_of(name))
    missing, unused = backbone.load_state_dict(official, strict=False, assign=True)  # other shapes are an error
    assert all(any(new in key for new in NEW) for key in missing)
    statistics = {f'bn1.{entry}' for entry in ('running_mean', 'running_var', 'num_batches_tracked')}
    assert set(unused) <= {'fc.weight', 'fc.bias'} | (statistics if 'IBN-b' in name else set())
