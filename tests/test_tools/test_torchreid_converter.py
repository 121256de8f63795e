# Copyright (c) mmreid contributors. All rights reserved.
"""Weights of torchreid: their names, what the converted model computes, and what is refused."""

import argparse
import os
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from golden_networks import GOLDEN, by_recipe
from mmengine.config import Config
from torch import nn

from mmreid.converters.resnet_shape import resnet_shape
from mmreid.converters.torchreid import convert
from mmreid.converters.weight_conversion import check_fills, key_table
from mmreid.registry import MODELS
from mmreid.utils.load_report import load_weights
from mmreid.utils.setup_env import register_all_modules

from .tool_modules import load_tool

TOOL = load_tool('model_converters/torchreid_to_mmreid.py')


@pytest.fixture(autouse=True, scope='module')
def registered():
    register_all_modules()


def norm(name, width, kind='BN'):
    """Entries of a norm: name to shape."""
    shapes = {f'{name}.{key}': (width,) for key in ('weight', 'bias')}
    if kind == 'BN':
        shapes.update({f'{name}.running_mean': (width,), f'{name}.running_var': (width,)})
        shapes[f'{name}.num_batches_tracked'] = ()
    return shapes


def conv_norm(name, before, after, size=1, kind='BN'):
    return {f'{name}.conv.weight': (after, before, size, size), **norm(f'{name}.bn', after, kind)}


def stream_layer(name, width):
    weights = {f'{name}.conv1.weight': (width, width, 1, 1), f'{name}.conv2.weight': (width, 1, 3, 3)}
    return {**weights, **norm(f'{name}.bn', width)}


def os_block(name, before, after, ain, instance_norm):
    """A block of OSNet: streams conv2a .. conv2d, those of AIN in a list; its gate, and where an instance norm is."""
    inner = after // 4
    shapes = conv_norm(f'{name}.conv1', before, inner)
    for depth in range(1, 5):
        for layer in range(depth):
            plain = f'{name}.conv2{"abcd"[depth - 1]}' + (f'.{layer}' if depth > 1 else '')
            stream = f'{name}.conv2.{depth - 1}.layers.{layer}' if ain else plain
            shapes |= stream_layer(stream, inner)
    shapes |= {f'{name}.gate.fc1.weight': (inner // 16, inner, 1, 1), f'{name}.gate.fc1.bias': (inner // 16,)}
    shapes |= {f'{name}.gate.fc2.weight': (inner, inner // 16, 1, 1), f'{name}.gate.fc2.bias': (inner,)}
    last = conv_norm(f'{name}.conv3', inner, after)
    shapes |= {key: shape for key, shape in last.items() if not (ain and instance_norm and '.bn.' in key)}
    shapes |= conv_norm(f'{name}.downsample', before, after) if before != after else {}
    return shapes | (norm(f'{name}.IN', after, 'IN') if instance_norm else {})


def osnet_shapes(variant, widths=(16, 64, 96, 128)):
    """Entries of torchreid's osnet_x0_25, osnet_ibn and osnet_ain of that width, up to their maps."""
    placed = dict(ibn=[(1, 1), (0, 0), (0, 0)], ain=[(1, 1), (0, 1), (1, 0)]).get(variant, [(0, 0)] * 3)
    ain = variant == 'ain'
    shapes = conv_norm('conv1', 3, widths[0], 7, 'IN' if variant else 'BN')
    for stage in range(3):
        before, after = widths[stage : stage + 2]
        for block in range(2):
            name = f'conv{stage + 2}.{block}'
            shapes |= os_block(name, after if block else before, after, ain, placed[stage][block])
        if stage < 2:
            shapes |= conv_norm(f'pool{stage + 2}.0' if ain else f'conv{stage + 2}.2.0', after, after)
    return shapes | conv_norm('conv5', widths[-1], widths[-1])


def fc_shapes(before, after, classes=5):
    linear = {'fc.0.weight': (after, before), 'fc.0.bias': (after,), **norm('fc.1', after)}
    return {**linear, 'classifier.weight': (classes, after), 'classifier.bias': (classes,)}


def fc_reference(v, state):
    v = F.linear(v, state['fc.0.weight'], state['fc.0.bias'])
    v = F.batch_norm(v, *(state[f'fc.1.{key}'] for key in ('running_mean', 'running_var', 'weight', 'bias')))
    return v.relu()


@torch.no_grad()
def features(found, x):
    model = MODELS.build(found.config)
    model.load_state_dict(found.state)
    return model.eval()(x, mode='tensor')


@pytest.mark.parametrize('variant', [None, 'ibn', 'ain'])
def test_osnets_compute_what_torchreids_do(variant):
    cases = np.load(GOLDEN / 'torchreid_osnet.npz')
    name = str(variant).lower()
    shapes = osnet_shapes(variant)
    assert len(shapes) == cases[f'{name}.entries']
    state = by_recipe({**shapes, **fc_shapes(128, 32)}, int(cases['seed']))
    found = convert(state)
    check_fills(found, 'x.pth')
    assert found.config['backbone'] == dict(type='OSNet', arch='x0_25', variant=variant)
    assert found.config['head'] == dict(type='ReIDHead', in_channels=32)
    assert set(found.dropped) == {'classifier.weight', 'classifier.bias'} and not found.filled
    maps = torch.from_numpy(cases[f'{name}.eval'])
    expected = fc_reference(maps.mean((2, 3)), state)
    torch.testing.assert_close(features(found, torch.from_numpy(cases['x']).float()), expected, rtol=1e-4, atol=1e-5)
    assert (expected == 0).any()  # what the ReLU leaves


def resnet_maps(build, state, last_stride):
    """torchvision's ResNet up to its map, with the weights."""
    net = build(weights=None)
    if last_stride == 1:
        net.layer4[0].conv1.stride = net.layer4[0].downsample[0].stride = (1, 1)
    own = {key: value for key, value in state.items() if key.startswith(('conv', 'bn', 'layer'))}
    net.load_state_dict(own, strict=False)
    return nn.Sequential(*list(net.children())[:-2]).eval()


@torch.no_grad()
@pytest.mark.parametrize(('name', 'fc'), [('resnet50', None), ('resnet18', 64)])
def test_resnets_compute_what_torchvisions_do(name, fc):
    build = getattr(torchvision.models, name)
    with torch.device('meta'):
        official = build(weights=None).state_dict()
    shapes = {key: tuple(value.shape) for key, value in official.items() if not key.startswith('fc.')}
    if fc:
        shapes |= fc_shapes(512, fc, 7)
    state = by_recipe(shapes)
    x = torch.rand(2, 3, 64, 32)
    expected = resnet_maps(build, state, 1 if fc else 2)(x).mean((2, 3))
    found = convert(state)
    check_fills(found, 'x.pth')
    expected = fc_reference(expected, state) if fc else expected
    torch.testing.assert_close(features(found, x), expected, rtol=1e-4, atol=1e-5)
    assert found.config['backbone']['strides'] == (1, 2, 2, 1 if fc else 2)
    assert bool(found.filled) == (fc is None) and found.config['test_feat'] == ('after' if fc else 'before')
    assert convert(state, last_stride=1).config['backbone']['strides'][3] == 1


@pytest.fixture(scope='module')
def small():
    return by_recipe({**osnet_shapes('ain'), **fc_shapes(128, 32)})


def test_the_tool_reports_every_entry_and_writes_a_model(small, tmp_path, capsys):
    theirs, ours = tmp_path / 'model.pth.tar-60', tmp_path / 'ours.pth'
    nested = {f'module.{key}': value for key, value in small.items()}
    torch.save(dict(state_dict=nested, epoch=60, rank1=np.float32(0.9)), theirs)
    TOOL.main([str(theirs), str(ours)])
    shown = capsys.readouterr().out
    assert f'| all                   | {len(small) - 2}' in shown and 'classifier.weight, classifier.bias' in shown
    checkpoint = torch.load(ours, weights_only=True)
    (tmp_path / 'config.py').write_text("_base_ = ['ours.pth.model.py']\nmodel = dict(flip_test=True)\n")
    model = Config.fromfile(tmp_path / 'config.py').model
    assert model.pop('flip_test') and model == checkpoint['meta']['model']
    MODELS.build(model).load_state_dict(checkpoint['state_dict'])
    with pytest.raises(FileExistsError, match='ours.pth .*--force'):
        TOOL.main([str(theirs), str(ours)])
    TOOL.main([str(theirs), str(ours), '--force'])


def test_arrays_and_plain_state_dicts_are_read(small, tmp_path):
    torch.save({key: value.numpy() for key, value in small.items()}, tmp_path / 'theirs.pth')
    TOOL.main([str(tmp_path / 'theirs.pth'), str(tmp_path / 'ours.pth')])
    state = torch.load(tmp_path / 'ours.pth', weights_only=True)['state_dict']
    assert torch.equal(state['backbone.conv1.conv.weight'], small['conv1.conv.weight'])


def refused(state, match, tmp_path, error=ValueError):
    torch.save(state, tmp_path / 'theirs.pth')
    with pytest.raises(error, match=match):
        TOOL.main([str(tmp_path / 'theirs.pth'), str(tmp_path / 'ours.pth')])
    assert not (tmp_path / 'ours.pth').exists() and not (tmp_path / 'ours.pth.model.py').exists()


def test_what_cannot_be_converted_is_refused(small, tmp_path):
    refused(
        {'features.0.weight': torch.zeros(2)},
        'theirs.pth: .*conv1.weight .*conv1.conv.weight, .*features.0.weight',
        tmp_path,
    )
    refused(dict(state_dict={}, epoch=3), 'theirs.pth .*weights, .*nothing', tmp_path)
    refused(dict(small, extra=torch.zeros(1)), 'theirs.pth: .* extra ', tmp_path)
    refused({**small, 'fc.4.weight': torch.zeros(3, 3)}, 'theirs.pth: .*fc.4.weight', tmp_path)
    short = {key: value for key, value in small.items() if key != 'conv5.conv.weight'}
    refused(short, 'theirs.pth .*missing.* backbone.conv5.conv.weight', tmp_path)
    wrong = {**small, 'conv5.conv.weight': torch.zeros(128, 64, 1, 1)}
    refused(wrong, r'theirs.pth .*conv5.conv.weight \(\(128, 64, 1, 1\) -> \(128, 128, 1, 1\)\)', tmp_path)
    code = dict(state_dict=small, args=argparse.Namespace())
    refused(code, 'theirs.pth.*argparse.Namespace', tmp_path, RuntimeError)


def test_nothing_used_is_refused(small):
    found = convert(small)
    found.used = []
    with pytest.raises(ValueError, match='nothing of x.pth'):
        check_fills(found, 'x.pth')


def test_table_counts_parts(small):
    text = key_table(convert(small))
    rows = {line.split('|')[1].strip(): line.split('|')[2:4] for line in text.splitlines() if line.startswith('|')}
    assert [cell.strip() for cell in rows['fc']] == ['7', '0'] and [cell.strip() for cell in rows['classifier']] == [
        '0',
        '2',
    ]


def test_unknown_depth_is_refused():
    with pytest.raises(ValueError, match=r'ResNet .*\(1, 0, 0, 0\)'):
        resnet_shape({'backbone.conv1.weight': torch.zeros(1), 'backbone.layer1.0.conv2.weight': torch.zeros(1)})


@pytest.mark.skipif('MMREID_REAL_DATA' not in os.environ, reason='MMREID_REAL_DATA names no folder with the weights')
@pytest.mark.parametrize('name', ['msmt17', 'market1501'])
def test_published_files_give_the_features_of_torchreid(tmp_path, name):
    # Made once with torchreid 0.2.5's osnet_x0_25 and these files, in float32 on a CPU.
    expected = np.load(GOLDEN / 'torchreid_osnet_x0_25_published.npz')[name]
    source = Path(os.environ['MMREID_REAL_DATA'], f'osnet_x0_25_{name}.pth')
    TOOL.main([str(source), str(tmp_path / 'ours.pth')])
    model = MODELS.build(Config.fromfile(tmp_path / 'ours.pth.model.py').model)
    report = load_weights(model, torch.load(tmp_path / 'ours.pth', weights_only=True)['state_dict'])
    assert report.is_exact
    place = np.arange(4 * 3 * 256 * 128, dtype=np.float64).reshape(4, 3, 256, 128)
    images = torch.from_numpy(2 * np.sin(place * 0.0037 + np.cos(place * 0.11) * 2).astype(np.float32))
    with torch.no_grad():
        features = model.eval()(images, mode='tensor')
    np.testing.assert_allclose(features, expected, atol=2e-5)
