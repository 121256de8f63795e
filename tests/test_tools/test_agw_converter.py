# Copyright (c) mmreid contributors. All rights reserved.
"""Weights of AGW for two modalities: what the converted network computes, and what is refused."""

import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from golden_networks import GOLDEN, assert_near, by_recipe, official_shapes
from mmcv.cnn import NonLocal2d

from mmreid.converters.agw import convert
from mmreid.converters.non_local_blocks import fold_biases
from mmreid.registry import MODELS
from mmreid.utils.config import load_config
from mmreid.utils.load_report import load_weights
from mmreid.utils.setup_env import register_all_modules

from .tool_modules import load_tool

TOOL = load_tool('model_converters/agw_to_mmreid.py')
DATA = np.load(GOLDEN / '11_full_agw_vi_resnet50.npz')
X = [torch.from_numpy(DATA[name]) for name in ('x1', 'x2')]


@pytest.fixture(scope='module')
def official():
    register_all_modules()
    shapes = official_shapes('agw_vi_resnet50_sysu395')
    unused = [key for key in shapes if re.match(r'(visible|thermal)_module\.\w+\.layer', key)]
    for key in unused[1:]:  # two whole ResNets less to make and to write
        del shapes[key]
    return by_recipe(shapes, int(DATA['det_seed']))


@pytest.fixture
def model(official):
    converted = convert(official)
    model = MODELS.build(converted.config)
    assert load_weights(model, converted.state).is_exact
    return model


@pytest.mark.parametrize('modal', [0, 1, 2])
def test_the_network_gives_the_golden_features(model, modal):
    """Of both modalities, and of each alone."""
    model.eval()
    model.branches.set_blocks(*((4, 2), (4, 0), (0, 2))[modal])
    with torch.no_grad():
        feats = model.neck(model.backbone(torch.cat((X, X[:1], X[1:])[modal])))
    for found, name in zip(feats, ('pool', 'feat'), strict=True):
        assert_near(F.normalize(found), DATA[f'agw/eval_modal{modal}/{name}'], 1e-5)


def test_the_network_trains_as_the_official_one(model):
    model.train()
    model.branches.set_blocks(4, 2)
    with torch.no_grad():
        feats = model.neck(model.backbone(torch.cat(X)))
        assert_near(feats.before, DATA['agw/train/pool'], 3e-3)
        assert_near(model.head.classifier(feats.after), DATA['agw/train/logits'], 5e-3)
    assert_near(model.neck.bn.running_mean, DATA['agw/bottleneck_running_mean_after'], 3e-3)
    for ours, theirs in dict(visible='visible', infrared='thermal').items():
        stem = getattr(model.backbone.bn1, ours)
        assert_near(stem.running_mean, DATA[f'agw/{theirs}_bn1_running_mean_after'], 1e-5)


def test_a_non_local_block_gives_the_golden_map():
    kept = ('g.0.', 'theta.', 'phi.', 'W.0.', 'W.1.')
    ours = ('g.conv.', 'theta.conv.', 'phi.conv.', 'conv_out.conv.', 'conv_out.bn.')
    state = {
        ours[[key.startswith(start) for start in kept].index(True)] + key.rpartition('.')[2]: torch.from_numpy(value)
        for key, value in {
            name.removeprefix('nonlocal/param/'): DATA[name] for name in DATA.files if 'nonlocal/param/' in name
        }.items()
    }
    state = {f'x.{key}': value for key, value in state.items()}
    fold_biases(state)
    block = NonLocal2d(16, reduction=16, mode='dot_product', norm_cfg=dict(type='BN'))
    block.load_state_dict({key.removeprefix('x.'): value for key, value in state.items()})
    with torch.no_grad():
        assert_near(block.eval()(torch.from_numpy(DATA['nonlocal/x'])), DATA['nonlocal/eval'], 1e-5)


def test_the_shipped_config_takes_the_weights(official):
    cfg = load_config('configs/agw/agw_resnet50_1xb64-81e_sysu-288x144.py')
    cfg.model.head.num_classes = 395
    cfg.model.backbone.init_cfg = None
    assert load_weights(MODELS.build(cfg.model), convert(official).state).is_exact


@pytest.mark.long
def test_the_tool_converts(official, tmp_path, capsys):
    theirs, ours = tmp_path / 'sysu_agw_p4_n8_lr_0.1_best.t', tmp_path / 'ours.pth'
    torch.save(dict(net=official, acc=47.5, mAP=47.65, epoch=80), theirs)
    TOOL.main([str(theirs), str(ours)])
    assert 'a part of a ResNet that their network does not run' in capsys.readouterr().out
    written = torch.load(ours, weights_only=True)
    assert load_weights(MODELS.build(written['meta']['model']), written).is_exact
    with pytest.raises(FileExistsError):
        TOOL.main([str(theirs), str(ours)])


@pytest.mark.long
def test_without_non_local_blocks_the_pooling_may_be_told(official):
    base = {key: value for key, value in official.items() if not key.startswith('NL_')}
    for pool, kind in ((None, 'GlobalAveragePooling'), ('gem', 'GeneralizedMeanPooling')):
        converted = convert(base, pool)
        assert converted.config['neck']['pool']['type'] == kind and converted.config['backbone']['type'] == 'ResNet'
        model = MODELS.build(converted.config)
        assert load_weights(model, converted.state).is_exact
        if pool is None:
            model.eval()
            model.branches.set_blocks(4, 2)
            with torch.no_grad():
                feats = model.neck(model.backbone(torch.cat(X)))
            for found, name in zip(feats, ('pool', 'feat'), strict=True):
                assert_near(F.normalize(found), DATA[f'base/eval_modal0/{name}'], 1e-5)


@pytest.mark.long
def test_other_weights_are_refused(official, tmp_path):
    with pytest.raises(ValueError, match='sum'):
        convert(official, 'sum')
    for wrong, named in (({'conv1.weight': torch.zeros(1)}, 'conv1.weight'), (dict(official, extra=X[0]), 'extra')):
        with pytest.raises(ValueError, match=named):
            convert(wrong)
    torch.save({key: value for key, value in official.items() if 'base.layer4.2' not in key}, tmp_path / 'wrong.t')
    with pytest.raises(ValueError, match='wrong.t'):
        TOOL.main([str(tmp_path / 'wrong.t'), str(tmp_path / 'ours.pth')])
    assert not (tmp_path / 'ours.pth').exists()
