# Copyright (c) mmreid contributors. All rights reserved.
"""The warm start of the benchmarks: its file is named by what decides it, and a backbone loads it."""

import importlib.util

import pytest
import torch
from mmengine.registry import DefaultScope
from tiny_config import ROOT

from mmreid.registry import MODELS
from mmreid.utils.config import load_config


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('warm_start', ROOT / 'benchmarks/warm_start/train_warm_start.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_backbone_loads_the_weights_without_a_missing_or_unexpected_key(tool, tmp_path):
    model = load_config(str(ROOT / tool.CONFIG)).model
    with DefaultScope.overwrite_default_scope('mmreid'):
        model.head.num_classes = 7
        trained = MODELS.build(model)
        torch.save(dict(state_dict=trained.state_dict(), meta={}), tmp_path / 'epoch_20.pth')
        tool.save_backbone(tmp_path / 'epoch_20.pth', tmp_path / 'start.pth')
        pretrained = dict(type='Pretrained', checkpoint=str(tmp_path / 'start.pth'), prefix='backbone')
        backbone = MODELS.build(model.backbone | dict(init_cfg=pretrained))
        backbone.init_weights()
    weights = torch.load(tmp_path / 'start.pth', weights_only=True)
    assert set(weights) == {f'backbone.{name}' for name in backbone.state_dict()}
    assert all(torch.equal(value, weights[f'backbone.{name}']) for name, value in backbone.state_dict().items())


def test_file_is_named_by_seed_config_and_data(tool, tmp_path, monkeypatch):
    names = {tool.weights_path(tmp_path, 0).name, tool.weights_path(tmp_path, 1).name}
    assert tool.weights_path(tmp_path, 0).name in names  # the same again
    monkeypatch.setattr(tool, 'DATA', (*tool.DATA[:-1], '5'))
    names.add(tool.weights_path(tmp_path, 0).name)
    monkeypatch.setattr(tool, 'CONFIG', 'configs/baseline/quickstart_resnet18_1xb64-25e_procedural-64x32.py')
    names.add(tool.weights_path(tmp_path, 0).name)
    assert len(names) == 4


def test_what_is_there_is_used_again_and_a_failure_leaves_nothing(tool, tmp_path, monkeypatch):
    def refuse(*command):
        raise RuntimeError('the tool ended with status 1')

    monkeypatch.setattr(tool, 'run_tool', refuse)
    with pytest.raises(RuntimeError, match='status 1'):
        tool.train_warm_start(0, tmp_path, tmp_path / 'data')
    assert not list(tmp_path.rglob('*.pth'))
    path = tool.weights_path(tmp_path, 0)
    path.write_bytes(b'trained before')
    assert tool.train_warm_start(0, tmp_path, tmp_path / 'data') == path
    assert path.read_bytes() == b'trained before'


def test_people_of_the_warm_start_come_from_their_own_domain(tool):
    assert tool.DATA[tool.DATA.index('--domain') + 1] == 'pretrain'
