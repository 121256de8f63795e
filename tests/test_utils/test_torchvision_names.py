# Copyright (c) mmreid contributors. All rights reserved.
"""Weights of torchvision in MMPretrain's backbones: all of them load, and the networks compute the same."""

import pytest
import torch
import torchvision
from mmengine.runner.checkpoint import _load_checkpoint
from tiny_config import ROOT
from torch import nn

from mmreid.models import branch_norms
from mmreid.registry import MODELS
from mmreid.utils import weight_sources
from mmreid.utils.config import load_config
from mmreid.utils.torchvision_names import to_mmpretrain

# Backbone, size of an image, and how torchvision makes a map of it.
FAMILIES = dict(
    regnet_x_800mf=(
        dict(type='RegNet', arch='regnetx_800mf'),
        64,
        lambda net: nn.Sequential(net.stem, net.trunk_output),
    ),
    convnext_tiny=(
        dict(type='ConvNeXt', arch='tiny', gap_before_final_norm=False),
        64,
        lambda net: nn.Sequential(net.features, net.classifier[0]),
    ),
    swin_t=(
        dict(type='SwinTransformer', arch='tiny'),
        224,
        lambda net: nn.Sequential(net.features, net.norm, torchvision.ops.Permute([0, 3, 1, 2])),
    ),
)


def trained_like(name):
    """A torchvision model with other weights than the initial ones."""
    torch.manual_seed(0)
    net = getattr(torchvision.models, name)(weights=None)
    for key, value in net.state_dict().items():
        if value.is_floating_point():
            noise = torch.randn_like(value)
            value += 0.3 * noise.abs() if 'running_var' in key else (0.5 if 'bias_table' in key else 0.03) * noise
    return net.eval()


@pytest.fixture(autouse=True, scope='module')
def safe_loaders():
    weight_sources.use_safe_loaders()


@pytest.mark.parametrize('name', FAMILIES)
def test_the_same_network(name):
    config, size, maps = FAMILIES[name]
    net, backbone = trained_like(name), MODELS.build(config)
    backbone.load_state_dict(to_mmpretrain(name, net.state_dict()))  # strict: none missing, none unexpected
    backbone.eval()
    image = torch.randn(1, 3, size, size)
    with torch.no_grad():
        expected = maps(net)(image)
        torch.testing.assert_close(backbone(image)[-1], expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize(
    ('model', 'name'),
    [('regnetx-800mf', 'regnet_x_800mf'), ('convnext-tiny', 'convnext_tiny'), ('swin-tiny', 'swin_t')],
)
def test_a_config_finds_its_weights(model, name, monkeypatch):
    """The whole path of ``init_cfg`` without a network: every branch of every norm gets torchvision's weights."""
    state, asked = trained_like(name).state_dict(), []
    monkeypatch.setattr(weight_sources, 'load_from_url', lambda url, **_: asked.append(url) or state)
    cfg = load_config(str(ROOT / f'configs/cmnas/cmnas-search_{model}_1xb128-120e_sysu-256x128.py')).model.backbone
    backbone = MODELS.build(cfg)
    backbone.init_weights()
    assert len(asked) == 1 and name in asked[0]
    renamed = to_mmpretrain(name, state)
    norms = branch_norms(backbone)
    assert len(norms) == dict(regnet_x_800mf=53, convnext_tiny=23, swin_t=29)[name]
    for key, norm in norms.items():
        assert all(torch.equal(branch.weight, renamed[f'{key}.weight']) for branch in norm.branches), key


def test_names_that_are_the_same_stay(monkeypatch):
    state = {'conv1.weight': torch.zeros(1), 'fc.weight': torch.zeros(1)}
    monkeypatch.setattr(weight_sources, 'load_from_url', lambda url, **_: state)
    assert _load_checkpoint('torchvision://resnet18') is state
