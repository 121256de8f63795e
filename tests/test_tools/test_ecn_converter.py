# Copyright (c) mmreid contributors. All rights reserved.
"""Official ECN checkpoints: their keys, what the converted network computes, and the way back."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from golden_networks import GOLDEN, assert_near, by_recipe, official_shapes

from mmreid.converters.ecn import MEMORY, model_config, to_mmreid, to_official
from mmreid.models import DomainAdaptiveReID
from mmreid.registry import MODELS
from mmreid.utils.load_report import load_weights

from .tool_modules import load_tool

TOOL = load_tool('model_converters/ecn_to_mmreid.py')


@pytest.fixture(scope='module')
def data():
    return np.load(GOLDEN / '03_full_ecn_resnet50.npz')


@pytest.fixture(scope='module')
def official(data):
    """The golden network: as the authors' file, with a smaller embedding."""
    size = int(data['num_features'])
    shapes = official_shapes('ecn_resnet50_f4096_duke702')
    smaller = {key: tuple(size if length == 4096 else length for length in shape) for key, shape in shapes.items()}
    return by_recipe(smaller, int(data['det_seed']))


@pytest.fixture(scope='module')
def model(official):
    converted = to_mmreid(official)
    model = MODELS.build(model_config(converted))
    assert load_weights(model, converted).is_exact
    return model


def test_computes_what_the_official_network_computes(model, data):
    """The feature that is compared, the embedding of the target branch, the source's scores."""
    model.eval()
    x = torch.from_numpy(data['x'])
    with torch.no_grad():
        feats = model.neck(model.backbone(x))
        logits = model.head.classifier(F.relu(feats.after))
    found = dict(pool5=model(x, mode='tensor'), tgt_feat=F.normalize(feats.after), logits=logits)
    for name, value in found.items():
        assert_near(value, data[name], 1e-4)


def test_the_same_parameters_are_frozen(model, data):
    frozen = {key for key, value in model.named_parameters() if not value.requires_grad}
    theirs = {key if key.startswith('base.') else f'base.{key}' for key in data['frozen'].tolist()}
    assert frozen == {key.replace('base.', 'backbone.', 1) for key in theirs}


def test_there_and_back_is_exact(official, model):
    back, memory = to_official(model.state_dict())
    assert memory is None and {key: value.shape for key, value in back.items()} == {
        key: value.shape for key, value in official.items()
    }
    assert all(torch.equal(back[key], value) for key, value in official.items() if not key.startswith('base.fc.'))


@pytest.mark.long
def test_the_tool_converts_both_ways_with_the_memory(official, tmp_path, capsys):
    (em,) = official_shapes('ecn_invnet_market12936')
    memory = torch.randn(11, 1024)
    entries = dict(
        state_dict={f'module.{key}': value for key, value in official.items()},
        state_dict_inv={f'module.{em}': memory},
        epoch=60,
    )
    torch.save(entries, tmp_path / 'theirs.pth')
    TOOL.main([str(tmp_path / 'theirs.pth'), str(tmp_path / 'ours.pth')])
    assert 'backbone' in capsys.readouterr().out
    ours = torch.load(tmp_path / 'ours.pth', weights_only=True)
    built = MODELS.build(ours['meta']['model'])
    assert isinstance(built, DomainAdaptiveReID) and load_weights(built, ours).is_exact
    assert torch.equal(built.head.memory.features, memory)

    TOOL.main([str(tmp_path / 'ours.pth'), str(tmp_path / 'back.pth'), '--to-official'])
    back = torch.load(tmp_path / 'back.pth', weights_only=True)
    assert torch.equal(back['state_dict_inv']['module.em'], memory)
    assert back['state_dict'].keys() == entries['state_dict'].keys()

    TOOL.main([str(tmp_path / 'theirs.pth'), str(tmp_path / 'ours.pth'), '--no-memory', '--force'])
    assert MEMORY not in torch.load(tmp_path / 'ours.pth', weights_only=True)['state_dict']


def refused(match, *arguments, error=ValueError):
    with pytest.raises(error, match=match):
        TOOL.main([str(argument) for argument in arguments])


def test_what_cannot_be_converted_is_refused(official, tmp_path):
    theirs, ours = tmp_path / 'theirs.pth', tmp_path / 'ours.pth'
    torch.save(dict(state_dict={'conv1.weight': torch.zeros(1)}), theirs)
    refused('theirs.pth: .*base.conv1 .*feat_bn', theirs, ours)
    refused('theirs.pth: .*DomainAdaptiveReID .*EmbeddingNeck', theirs, ours, '--to-official')
    torch.save(dict(state_dict=dict(official, extra=torch.zeros(1))), theirs)
    refused('theirs.pth: .* extra .*ECN', theirs, ours)
    torch.save(dict(state_dict=official, state_dict_inv=dict(em=torch.zeros(3, 7))), theirs)
    refused(r' em .* 1024\), .*\(3, 7\)', theirs, ours)
    short = {key: value for key, value in official.items() if key != 'base.layer4.2.conv3.weight'}
    torch.save(dict(state_dict=short), theirs)
    refused('theirs.pth .*layer4.2.conv3', theirs, ours)
    assert not ours.exists()
    ours.write_bytes(b'mine')
    refused('ours.pth .*--force', theirs, ours, error=FileExistsError)
