# Copyright (c) mmreid contributors. All rights reserved.
"""Weights of fast-reid: their names, what the converted model computes, and what is refused."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from golden_networks import by_recipe
from torch import nn

from mmreid.converters.fastreid import convert
from mmreid.converters.weight_conversion import check_fills
from mmreid.registry import MODELS
from mmreid.utils.setup_env import register_all_modules

from .tool_modules import load_tool

TOOL = load_tool('model_converters/fastreid_to_mmreid.py')
NORM = ('weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked')


@pytest.fixture(autouse=True, scope='module')
def registered():
    register_all_modules()


def norm(name, width):
    return {f'{name}.{key}': () if key == 'num_batches_tracked' else (width,) for key in NORM}


def baseline_shapes(name='resnet18', ibn=False, non_local=(0, 0, 0, 0), neck='bottleneck.0', gem=False, embed=0):
    """Entries of a Baseline of fast-reid, from those of torchvision's ResNet."""
    with torch.device('meta'):
        official = getattr(torchvision.models, name)(weights=None).state_dict()
    shapes = {}
    for key, value in official.items():
        module, _, kind = key.rpartition('.')
        if key.startswith('fc.'):
            continue
        if ibn and module.endswith('.bn1') and 'layer4' not in module:
            half = tuple(length // 2 for length in value.shape)
            shapes[f'backbone.{module}.BN.{kind}'] = half
            if kind in ('weight', 'bias'):
                shapes[f'backbone.{module}.IN.{kind}'] = half
        else:
            shapes[f'backbone.{key}'] = tuple(value.shape)
    last = 2048 if name == 'resnet50' else 512
    for stage, count in enumerate(non_local, 1):
        width = last // 2 ** (4 - stage)
        for place in [f'backbone.NL_{stage}.{number}' for number in range(count)]:
            for part in ('g', 'theta', 'phi'):
                shapes |= {f'{place}.{part}.weight': (1, width, 1, 1), f'{place}.{part}.bias': (1,)}
            shapes |= {
                f'{place}.W.0.weight': (width, 1, 1, 1),
                f'{place}.W.0.bias': (width,),
                **norm(f'{place}.W.1', width),
            }
    if gem:
        shapes['heads.pool_layer.p'] = (1,)
    if embed:
        shapes['heads.bottleneck.0.weight'] = (embed, last, 1, 1)
    return {**shapes, **norm(f'heads.{neck}', embed or last), 'heads.weight': (9, embed or last)}


class InstanceAndBatchNorm(nn.Module):
    """Half of the channels by image, half by batch."""

    def __init__(self, width):
        super().__init__()
        self.IN, self.BN = nn.InstanceNorm2d(width // 2, affine=True), nn.BatchNorm2d(width // 2)

    def forward(self, x):
        first, second = x.chunk(2, 1)
        return torch.cat([self.IN(first), self.BN(second)], 1)


class NonLocal(nn.Module):
    """x + W(f g(x)), where f are the products of theta and phi of all places over their number."""

    def __init__(self, width):
        super().__init__()
        self.g, self.theta, self.phi = (nn.Conv2d(width, 1, 1) for _ in range(3))
        self.W = nn.Sequential(nn.Conv2d(1, width, 1), nn.BatchNorm2d(width))

    def forward(self, x):
        g, theta, phi = (part(x).flatten(2) for part in (self.g, self.theta, self.phi))
        weights = theta.transpose(1, 2) @ phi / phi.shape[2]
        mixed = (weights @ g.transpose(1, 2)).transpose(1, 2)
        return x + self.W(mixed.unflatten(2, x.shape[2:]))


@torch.no_grad()
def reference(state, x, name, ibn, non_local, padded):
    """The features: torchvision's ResNet with what fast-reid changes in it, pooling and norm."""
    net = getattr(torchvision.models, name)(weights=None)
    net.fc = nn.Identity()
    entry = net.layer4[0].conv2 if name == 'resnet50' else net.layer4[0].conv1
    entry.stride = net.layer4[0].downsample[0].stride = (1, 1)
    if not padded:
        net.maxpool = nn.MaxPool2d(3, 2, ceil_mode=True)
    for stage in (net.layer1, net.layer2, net.layer3) if ibn else ():
        for block in stage:
            block.bn1 = InstanceAndBatchNorm(block.bn1.num_features)
    own = {key.removeprefix('backbone.'): value for key, value in state.items() if key.startswith('backbone.')}
    net.load_state_dict({key: value for key, value in own.items() if not key.startswith('NL_')})
    for number, count in enumerate(non_local, 1):
        stage = getattr(net, f'layer{number}')
        for i, block in list(enumerate(stage))[len(stage) - count :]:
            place = f'NL_{number}.{i - len(stage) + count}.'
            behind = NonLocal(own[f'{place}g.weight'].shape[1])
            behind.load_state_dict({key.removeprefix(place): v for key, v in own.items() if key.startswith(place)})
            stage[i] = nn.Sequential(block, behind)
    maps = nn.Sequential(*list(net.children())[:-2]).eval()(x)
    p = state.get('heads.pool_layer.p', torch.ones(1))
    v = maps.clamp(min=1e-6).pow(p).mean((2, 3)).pow(1 / p)
    if 'heads.bottleneck.0.weight' in state and state['heads.bottleneck.0.weight'].ndim == 4:
        v = v @ state['heads.bottleneck.0.weight'].flatten(1).t()
    last = 'bottleneck.1' if 'heads.bottleneck.1.weight' in state else 'bottleneck.0'
    last = last if f'heads.{last}.weight' in state else 'bnneck'
    mean, var, weight, bias = (
        state[f'heads.{last}.{key}'] for key in ('running_mean', 'running_var', 'weight', 'bias')
    )
    return F.batch_norm(v, mean, var, weight, bias)


@torch.no_grad()
def features(found, x):
    model = MODELS.build(found.config)
    model.load_state_dict(found.state)
    return model.eval()(x, mode='tensor')


KINDS = dict(
    bot_r50=dict(name='resnet50'),
    ibn_padded=dict(ibn=True, neck='bnneck', stem_pool='padded'),
    sbs_ibn=dict(ibn=True, non_local=(0, 2, 1, 0), gem=True),
    agw_padded=dict(non_local=(0, 1, 2, 0), gem=True, stem_pool='padded'),
    embedding=dict(neck='bottleneck.1', embed=32),
)
CLASSES = dict(ibn_padded='ResNetIBN', agw_padded='ResNetNL')


@pytest.mark.parametrize('kind', KINDS)
def test_computes_what_fast_reid_does(kind):
    options = dict(name='resnet18', ibn=False, non_local=(0, 0, 0, 0), stem_pool='unpadded') | KINDS[kind]
    stem_pool = options.pop('stem_pool')
    state = by_recipe(baseline_shapes(**options))
    if 'heads.pool_layer.p' in state:
        state['heads.pool_layer.p'] = torch.tensor([2.4])
    found = convert(state, stem_pool=stem_pool)
    check_fills(found, 'x.pth')
    assert found.config['backbone']['type'] == CLASSES.get(kind, 'FastReIDResNet')
    assert set(found.used) == set(state) and not found.filled
    x = torch.rand(2, 3, 64, 32)
    how = {key: options[key] for key in ('name', 'ibn', 'non_local')}
    expected = reference(state, x, padded=stem_pool == 'padded', **how)
    torch.testing.assert_close(features(found, x), expected, rtol=1e-4, atol=1e-4)
    other = reference(state, x, padded=stem_pool != 'padded', **how)
    assert (other - expected).abs().max() > 1e-2  # so the choice of the pooling matters


def test_a_plain_resnet_is_one(small):
    state = {key: value for key, value in small.items() if '.NL_' not in key}
    found = convert(state, stem_pool='padded')
    check_fills(found, 'x.pth')
    assert found.config['backbone']['type'] == 'ResNet'


@pytest.fixture(scope='module')
def small():
    shapes = baseline_shapes(non_local=(0, 1, 0, 0), gem=True)
    return by_recipe({key: tuple(max(1, n // 8) if n >= 64 else n for n in shape) for key, shape in shapes.items()})


def test_early_files_with_pixels_and_a_stray_counter(small):
    """As published with version 0.1.1: buffers of the preprocessing, a classifier layer, the counter under bnneck."""
    state = dict(small)
    state['heads.classifier.weight'] = state.pop('heads.weight')
    state['heads.bnneck.num_batches_tracked'] = state.pop('heads.bottleneck.0.num_batches_tracked')
    state['pixel_mean'] = torch.tensor([123.675, 116.28, 103.53]).view(1, 3, 1, 1)
    state['pixel_std'] = torch.tensor([58.395, 57.12, 57.375]).view(1, 3, 1, 1)
    found, plain = convert(state), convert(small)
    check_fills(found, 'x.pth')
    assert found.config.pop('data_preprocessor') == dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])
    assert found.config == plain.config and found.config['head']['num_classes'] == 9
    assert all(torch.equal(found.state[key], value) for key, value in plain.state.items())


def test_a_head_without_classes_or_norm(small):
    state = {key: value for key, value in small.items() if not key.startswith('heads.')}
    state['heads.weight'] = torch.zeros(0, 64)
    found = convert(state, pool='average')
    check_fills(found, 'x.pth')
    assert list(found.dropped) == ['heads.weight'] and 'num_classes' not in found.config['head']
    assert len(found.filled) == 5 and found.config['test_feat'] == 'before'


def test_the_tool_reads_what_fast_reid_saves(small, tmp_path, capsys):
    content = dict(model={f'module.{key}': value for key, value in small.items()}, epoch=3)
    content['model']['module.backbone.conv1.weight'] = small['backbone.conv1.weight'].numpy()
    torch.save(content, tmp_path / 'theirs.pth')
    TOOL.main([str(tmp_path / 'theirs.pth'), str(tmp_path / 'ours.pth'), '--last-stride', '2', '--stem-pool', 'padded'])
    shown = capsys.readouterr().out
    assert (
        '| backbone.NL_2' in shown
        and '| heads.bottleneck' in shown
        and f'| all                   | {len(small)}' in shown
    )
    checkpoint = torch.load(tmp_path / 'ours.pth', weights_only=True)
    backbone = checkpoint['meta']['model']['backbone']
    assert (backbone['type'], backbone['strides'], backbone['non_local']) == ('ResNetNL', (1, 2, 2, 2), (0, 1, 0, 0))
    model = MODELS.build(checkpoint['meta']['model'])
    model.load_state_dict(checkpoint['state_dict'])
    assert torch.equal(model.backbone.conv1.weight, small['backbone.conv1.weight'])


def refused(state, match, tmp_path, error=ValueError):
    torch.save(dict(model=state), tmp_path / 'theirs.pth')
    with pytest.raises(error, match=match):
        TOOL.main([str(tmp_path / 'theirs.pth'), str(tmp_path / 'ours.pth')])
    assert not (tmp_path / 'ours.pth').exists()


def test_what_cannot_be_converted_is_refused(small, tmp_path):
    refused({'backbone.conv2d.weight': torch.zeros(2)}, 'theirs.pth: .*backbone.conv2d.weight', tmp_path)
    se = 'backbone.layer1.0.se.fc.0.weight'
    refused({**small, se: torch.zeros(2, 2)}, f' {se} .*squeeze-and-excitation', tmp_path)
    refused({**small, 'b1.0.conv1.weight': torch.zeros(2)}, 'b1.0.conv1.weight .*MGN', tmp_path)
    short = {key: value for key, value in small.items() if key != 'backbone.NL_2.0.phi.weight'}
    refused(short, 'theirs.pth .*missing.*layer2.1.non_local.phi.conv.weight', tmp_path)
    wrong = {**small, 'heads.bottleneck.0.running_var': torch.zeros(3)}
    refused(wrong, r'theirs.pth .*neck.bn.running_var \(\(3,\) -> \(64,\)\)', tmp_path)
    (tmp_path / 'theirs.pth').write_bytes(b'<html>')
    with pytest.raises(RuntimeError, match="theirs.pth.*b'<html>'"):
        TOOL.main([str(tmp_path / 'theirs.pth'), str(tmp_path / 'ours.pth')])
    with pytest.raises(ValueError, match='stem_pool'):
        convert(small, stem_pool='none')
    with pytest.raises(ValueError, match="GeM, .*'average'"):
        convert(small, pool='average')


def test_an_exponent_that_is_not_learned_must_be_told(tmp_path, capsys):
    """As AGW since fast-reid calls the learned pooling gempoolP: the weights look like those of a mean."""
    state = by_recipe(baseline_shapes(non_local=(0, 1, 2, 0)))
    refused(state, '--pool gem', tmp_path)
    found = convert(state, pool='gem')
    check_fills(found, 'x.pth')
    assert list(found.filled) == ['neck.pool.p'] and found.config['test_feat'] == 'after'
    x = torch.rand(2, 3, 64, 32)
    with_exponent = {**state, 'heads.pool_layer.p': torch.tensor([3.0])}
    how = dict(name='resnet18', ibn=False, non_local=(0, 1, 2, 0), padded=False)
    torch.testing.assert_close(features(found, x), reference(with_exponent, x, **how), rtol=1e-4, atol=1e-4)
    mean = features(convert(state, pool='average'), x)
    torch.testing.assert_close(mean, reference(state, x, **how), rtol=1e-4, atol=1e-4)
    assert (mean - features(found, x)).abs().max() > 1e-2


def test_arrays_keep_their_values(small, tmp_path):
    torch.save(dict(model={key: np.asarray(value) for key, value in small.items()}), tmp_path / 'theirs.pth')
    TOOL.main([str(tmp_path / 'theirs.pth'), str(tmp_path / 'ours.pth')])
    state = torch.load(tmp_path / 'ours.pth', weights_only=True)['state_dict']
    expected = convert(small).state
    assert state.keys() == expected.keys() and all(torch.equal(state[key], expected[key]) for key in state)
