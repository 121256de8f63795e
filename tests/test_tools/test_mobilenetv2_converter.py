# Copyright (c) mmreid contributors. All rights reserved.
"""ImageNet weights of MobileNetV2: both namings of torchvision, what the model computes, what is refused."""

import pytest
import torch
import torchvision

from mmreid.converters.mobilenetv2 import convert
from mmreid.converters.weight_conversion import check_fills
from mmreid.registry import MODELS
from mmreid.utils.setup_env import register_all_modules

from .tool_modules import load_tool

TOOL = load_tool('model_converters/mobilenetv2_to_mmreid.py')


@pytest.fixture(scope='module')
def official():
    register_all_modules()
    torch.manual_seed(0)
    network = torchvision.models.mobilenet_v2(weights=None).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.1, 0.1)
            torch.nn.init.uniform_(module.weight, 0.8, 1.2)
    return network


def old_names(state):
    """The names before torchvision 0.13: convolution, norm and activation of a block counted through."""
    renamed = {}
    for key, value in state.items():
        parts = key.split('.')
        if parts[0] == 'features' and parts[2] == 'conv':
            last = len({k.split('.')[3] for k in state if k.startswith(f'features.{parts[1]}.conv.')}) - 2
            at = int(parts[3])
            number = 3 * at + int(parts[4]) if at < last else 3 * last + at - last
            parts = [*parts[:3], str(number), parts[-1]]
        renamed['.'.join(parts)] = value
    return renamed


@pytest.mark.parametrize('rename', [dict, old_names])
def test_features_are_those_of_torchvision(official, rename):
    found = convert(rename(official.state_dict()))
    check_fills(found, 'theirs')
    model = MODELS.build(found.config)
    model.load_state_dict(found.state, strict=False)
    images = torch.randn(2, 3, 64, 32)
    with torch.no_grad():
        expected = official.features(images).mean((2, 3))
        torch.testing.assert_close(model.eval()(images, mode='tensor'), expected, rtol=0, atol=1e-6)
    assert len(found.used) == 312 and all(key.startswith('classifier.') for key in found.dropped)


def test_other_networks_are_refused(official, tmp_path):
    with pytest.raises(ValueError, match=r'layer1\.0\.conv1\.weight .*MobileNetV2'):
        convert({'layer1.0.conv1.weight': torch.zeros(1)})
    state = official.state_dict()
    del state['features.3.conv.1.0.weight']
    torch.save(state, tmp_path / 'part.pth')
    with pytest.raises(ValueError, match='part.pth'):
        TOOL.main([str(tmp_path / 'part.pth'), str(tmp_path / 'ours.pth')])
    assert not (tmp_path / 'ours.pth').exists()
