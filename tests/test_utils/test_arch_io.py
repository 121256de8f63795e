# Copyright (c) mmreid contributors. All rights reserved.
"""Architecture files: what is written is read back, and what is wrong is named."""

import json
import os

import pytest
from mmengine.config import Config

from mmreid.models import branch_norms
from mmreid.registry import MODELS
from mmreid.utils.arch_io import (
    Architecture,
    config_fragment,
    load_arch,
    official_order,
    read_arch,
    read_switch_line,
    save_arch,
    switch_line,
)

ARCH = Architecture(
    norms={'bn1': 'split', 'layer1.0.bn1': 'share'},
    backbone=dict(type='ResNet', depth=50),
    split_probability={'bn1': 0.75, 'layer1.0.bn1': 0.0},
)


def resnet_norms(depth):
    narrow = dict(stem_channels=4, base_channels=4, norm_cfg=dict(type='mmreid.BranchBN2d'))
    return list(branch_norms(MODELS.build(dict(type='ResNet', depth=depth, **narrow))))


def test_what_is_saved_is_loaded(tmp_path):
    save_arch(tmp_path / 'arch.json', ARCH)
    assert load_arch(tmp_path / 'arch.json') == ARCH
    content = json.loads((tmp_path / 'arch.json').read_text())
    assert content['format'] == 1
    assert content['entropy'] == pytest.approx({'bn1': 0.811278, 'layer1.0.bn1': 0}, abs=1e-6)
    save_arch(tmp_path / 'chosen.json', Architecture({'bn1': 'share'}))
    assert load_arch(tmp_path / 'chosen.json') == Architecture({'bn1': 'share'})


def test_a_failed_write_leaves_the_old_file(tmp_path):
    save_arch(tmp_path / 'arch.json', ARCH)
    with pytest.raises(ValueError, match="bn1 has the state 'both'"):
        save_arch(tmp_path / 'arch.json', Architecture({'bn1': 'both'}))
    with pytest.raises(TypeError):
        save_arch(tmp_path / 'arch.json', Architecture(ARCH.norms, backbone=dict(type=ARCH)))
    assert load_arch(tmp_path / 'arch.json') == ARCH
    assert os.listdir(tmp_path) == ['arch.json']


@pytest.mark.parametrize(
    'text, match',
    [
        ('{"format": 1', 'is not an arch.json: it is not JSON'),
        ('[]', "has no entry 'norms'"),
        ('{"norms": {"bn1": "split"}}', 'has the format None, but this version of mmreid reads format 1'),
        ('{"format": 2, "norms": {"bn1": "split"}}', 'has the format 2'),
        ('{"format": 1, "norms": {}}', 'must give share or split for each norm'),
        ('{"format": 1, "norms": {"bn1": 0}}', "bn1 has the state 0; use 'share' or 'split'"),
        ('{"format": 1, "norms": {"bn1": ["split"]}}', 'bn1 has the state'),
        ('{"format": 1, "norms": {"bn1": "split"}, "backbone": "ResNet"}', "'backbone' must be a config"),
        ('{"format": 1, "norms": {"bn1": "split"}, "split_probability": {"x": 0.5}}', 'must name the same norms'),
        ('{"format": 1, "norms": {"bn1": "split"}, "split_probability": {"bn1": 1.5}}', 'bn1 is 1.5, which is not'),
        ('{"format": 1, "norms": {"bn1": "split"}, "split_probability": {"bn1": NaN}}', 'bn1 is nan, which is not'),
    ],
)
def test_a_wrong_file_is_explained(text, match, tmp_path):
    (tmp_path / 'arch.json').write_text(text)
    with pytest.raises(ValueError, match=match):
        load_arch(tmp_path / 'arch.json')


def test_no_file_and_no_text(tmp_path):
    with pytest.raises(FileNotFoundError, match='there is no architecture file .*arch.json; give the arch.json'):
        load_arch(tmp_path / 'arch.json')
    (tmp_path / 'arch.json').write_bytes(b'\x80\x02\xff')
    with pytest.raises(ValueError, match='it is not text'):
        load_arch(tmp_path / 'arch.json')


# Stem; two or three norms a block in 8, 16, 16 and 33 blocks; 3 or 4 downsamples.
@pytest.mark.parametrize('depth, count', [(18, 20), (34, 36), (50, 53), (101, 104)])
def test_the_official_line_of_resnets(depth, count, tmp_path):
    names = resnet_norms(depth)
    assert len(names) == count
    for chosen in names:
        norms = {name: 'split' if name == chosen else 'share' for name in names}
        line = switch_line(norms).split()
        assert len(line) == count and line.index('0') == official_order(names).index(chosen)
    (tmp_path / 'config.cfg').write_text(switch_line(norms) + '\n')
    assert read_switch_line(tmp_path / 'config.cfg', reversed(names)) == norms
    assert read_arch(tmp_path / 'config.cfg', names) == norms


def test_the_official_order_takes_the_downsample_norm_first():
    first = ['bn1', 'layer1.0.downsample.1', 'layer1.0.bn1', 'layer1.0.bn2', 'layer1.0.bn3', 'layer1.1.bn1']
    ordered = official_order(resnet_norms(50))
    assert ordered[:6] == first
    assert ordered[11] == 'layer2.0.downsample.1' and ordered[-1] == 'layer4.2.bn3'
    assert official_order(resnet_norms(101))[24 + 10 * 3 + 1] == 'layer3.10.bn1'  # blocks by number, not as text


def test_a_wrong_line_is_explained(tmp_path):
    path = tmp_path / 'config.cfg'
    for text, match in (
        ('0 1 2', "contains '2', but may contain only 0 .split. and 1 .share."),
        ('0, 1', "contains '0,'"),
        ('0 1', 'config.cfg has 2 entries, but the backbone has 20 norms; a ResNet-50 has 53'),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=match):
            read_arch(path, resnet_norms(18))
    with pytest.raises(ValueError, match="plain ResNets, which have no norm 'stages.0.norm'; use arch.json"):
        read_arch(path, ['stages.0.norm'])


def test_any_architecture_file_is_read(tmp_path):
    save_arch(tmp_path / 'arch.json', ARCH)
    assert read_arch(tmp_path / 'arch.json', []) == ARCH.norms


BASE = """
model = dict(type='mmreid.CrossModalReID', {arch} neck=dict(type='mmreid.BNNeck', in_channels=32),
    backbone=dict(type='mmpretrain.ResNet', depth=18, stem_channels=4, base_channels=4,
        norm_cfg=dict(type='mmreid.BranchBN2d')),
    head=dict(type='mmreid.CrossModalHead', in_channels=32))
"""


@pytest.mark.parametrize('arch', ["arch='share',", "arch={'*': 'share', 'layer1.*': 'split'},", ''])
def test_a_fragment_stands_in_base_beside_the_config_to_train(arch, tmp_path):
    norms = {name: 'split' if 'layer2' in name else 'share' for name in resnet_norms(18)}
    (tmp_path / 'retrain.py').write_text(BASE.format(arch=arch))
    (tmp_path / 'arch.py').write_text(config_fragment(norms))
    (tmp_path / 'train.py').write_text("_base_ = ['./retrain.py', './arch.py']\nmodel = dict(arch=_base_.arch)\n")
    assert MODELS.build(Config.fromfile(tmp_path / 'train.py').model).arch == norms
