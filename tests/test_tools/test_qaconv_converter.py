# Copyright (c) mmreid contributors. All rights reserved.
"""Official QAConv checkpoints: their keys, what the converted network computes, and the way back."""

import numpy as np
import pytest
import torch
from golden_networks import GOLDEN, assert_near, by_recipe, official_shapes
from tiny_config import ROOT

from mmreid.converters.qaconv import model_config, to_mmreid, to_official
from mmreid.registry import MODELS
from mmreid.utils.config import load_config
from mmreid.utils.load_report import load_weights

from .tool_modules import load_tool

MODEL_KEYS, CRITERION_KEYS = 'qaconv_resmap_resnet50_ibnb_layer3', 'qaconv_criterion_24x8'
TOOL = load_tool('model_converters/qaconv_to_mmreid.py')


def ibn_a(shapes):
    """The keys of IBN-a, from those of IBN-b."""
    result = {}
    for key, shape in shapes.items():
        module, _, name = key.rpartition('.')
        if module == 'base.bn1':
            result[key] = shape
            for buffer, size in (('running_mean', (64,)), ('running_var', (64,)), ('num_batches_tracked', ())):
                result[f'{module}.{buffer}'] = size
        elif '.IN' in key:
            continue
        elif module.endswith('.bn1') and not module.startswith('base.layer4'):
            half = tuple(size // 2 for size in shape)
            result[f'{module}.BN.{name}'] = half
            if name in ('weight', 'bias'):
                result[f'{module}.IN.{name}'] = half
        else:
            result[key] = shape
    return result


@pytest.fixture(scope='module')
def official():
    parts = dict(model=MODEL_KEYS, criterion=CRITERION_KEYS)
    return dict({part: by_recipe(official_shapes(keys)) for part, keys in parts.items()}, epoch=3)


@pytest.fixture(scope='module')
def thin(official):
    """The same with an eighth of the channels, for what does not depend on them."""
    shapes = official_shapes(MODEL_KEYS).items()
    model = {key: tuple(length // 8 if length >= 64 else length for length in shape) for key, shape in shapes}
    return dict(official, model=by_recipe(model))


@pytest.mark.parametrize('ibn', ['ibn_b', 'ibn_a'])
def test_full_size_maps_are_those_of_the_official_network(official, ibn):
    data = np.load(GOLDEN / '03_full_qaconv_resmap50.npz')
    keys = official_shapes(MODEL_KEYS)
    state = by_recipe(ibn_a(keys) if ibn == 'ibn_a' else keys, int(data['det_seed']))
    converted, unused = to_mmreid(state, official['criterion'])
    behind = [key for key in state if key.startswith(('base.layer4', 'base.fc'))]
    assert set(unused) == {key.replace('base.', 'backbone.') for key in behind}
    config = model_config(converted)
    expected = dict(type='ResNetIBN', ibn=ibn[-1], depth=50, stem_channels=64, base_channels=64, out_indices=(2,))
    assert config['backbone'] == expected
    model = MODELS.build(config)
    assert load_weights(model, converted).is_exact
    model.eval()
    with torch.no_grad():
        maps = model.extract_feat(torch.from_numpy(data['x']))
    assert_near(maps, data[ibn], 1e-4)


def test_official_weights_fill_the_shipped_model(official):
    config = load_config(str(ROOT / 'configs/_base_/models/qaconv_resnet50_ibnb.py')).model
    config.backbone.init_cfg = None
    assert load_weights(MODELS.build(config), to_mmreid(official['model'], official['criterion'])[0]).is_exact


def test_there_and_back_gives_the_same_file(thin, tmp_path, capsys):
    torch.save(thin, tmp_path / 'theirs.pth')
    TOOL.main([str(tmp_path / 'theirs.pth'), str(tmp_path / 'ours.pth')])
    assert 'matcher  | 12   | 12' in capsys.readouterr().out
    ours = torch.load(tmp_path / 'ours.pth', weights_only=True)
    assert ours['meta']['model']['matcher'] == dict(type='QAConvMatcher', size=(24, 8))
    TOOL.main([str(tmp_path / 'ours.pth'), str(tmp_path / 'back.pth'), '--to-official'])
    back = torch.load(tmp_path / 'back.pth', weights_only=True)
    for entry in ('model', 'criterion'):
        assert set(back[entry]) == set(thin[entry])
        assert all(torch.equal(back[entry][key], value) for key, value in thin[entry].items())


def test_a_trained_model_has_all_official_keys(official):
    """The layers that our model has not built are there in their shapes."""
    converted, _ = to_mmreid(official['model'], official['criterion'])
    model, criterion = to_official(dict(converted, **{'head.loss_memory.valid_class': torch.zeros(3)}))
    assert {key: value.shape for key, value in model.items()} == {k: v.shape for k, v in official['model'].items()}
    assert set(criterion) == set(official['criterion'])
    assert not model['base.layer4.2.conv3.weight'].any() and not model['base.fc.weight'].any()


def test_golden_scores_come_from_a_converted_criterion():
    """A matcher of the official code, loaded under our names, scores as it did."""
    data = np.load(GOLDEN / '04_qaconv_score.npz')
    criterion = {f'matcher.{k[6:]}': torch.from_numpy(data[k].copy()) for k in data.files if k.startswith('param/')}
    state = {'backbone.conv1.weight': torch.zeros(4, 3, 7, 7), 'neck.conv.weight': torch.zeros(16, 4, 3, 3)}
    layers = {f'backbone.layer1.{i}.conv{j}.weight': torch.zeros(4, 4, 3, 3) for i in range(2) for j in (1, 2)}
    config = model_config({**state, **layers, **criterion}, size=(6, 4))
    assert config['backbone'] == dict(type='ResNet', depth=18, stem_channels=4, base_channels=4, out_indices=(0,))
    matcher = MODELS.build(config['matcher']).eval()
    matcher.load_state_dict({key.removeprefix('matcher.'): value for key, value in criterion.items()})
    maps = (torch.from_numpy(data[name]) for name in ('prob_fea', 'gal_fea'))
    assert_near(matcher(*maps), data['eval_score'], 1e-4)


def test_what_cannot_be_converted_is_refused(thin, tmp_path):
    def refused(match, checkpoint, *options, error=ValueError):
        torch.save(checkpoint, tmp_path / 'src.pth')
        with pytest.raises(error, match=match):
            TOOL.main([str(tmp_path / 'src.pth'), str(tmp_path / 'dst.pth'), *options])

    refused("src.pth .*'criterion', .*model", dict(model=thin['model']))
    refused('src.pth: .* neck_bn.weight ', dict(thin, model=dict(thin['model'], **{'neck_bn.weight': 0})))
    refused('src.pth: .* fc.weight .*criterion', dict(thin, criterion={'fc.weight': torch.zeros(1)}))
    refused(' 192 .*16x8; .*--size', thin, '--size', '16', '8')
    short = {key: value for key, value in thin['model'].items() if key != 'base.layer2.3.IN.bias'}
    refused('src.pth .*layer2.3.IN.bias', dict(thin, model=short))
    refused('src.pth: .*neck.conv .*matcher.fc, .*PairwiseReID', dict(state_dict={}), '--to-official')
    refused(' backbone2.weight ', dict(state_dict={'backbone2.weight': torch.zeros(1)}), '--to-official')
    assert not (tmp_path / 'dst.pth').exists()
    (tmp_path / 'dst.pth').write_text('mine')
    refused('dst.pth .*--force', thin, error=FileExistsError)
