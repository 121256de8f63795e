# Copyright (c) mmreid contributors. All rights reserved.
"""Official CM-NAS checkpoints: their keys, what the converted network computes, and the way back."""

import json

import numpy as np
import pytest
import torch
from golden_networks import GOLDEN, assert_near, by_recipe, official_shapes
from mmengine.config import Config

from mmreid.converters.cmnas import infer_arch, model_config, official_norms, to_mmreid, to_official
from mmreid.models import BranchContext, CrossModalReID, apply_arch, attach_branches, branch_norms
from mmreid.registry import MODELS
from mmreid.structures import ReIDDataSample
from mmreid.utils.arch_io import load_arch, official_order, switch_line
from mmreid.utils.load_report import load_weights

from .tool_modules import load_tool

KEYS = 'cmnas_TwoStreamSwitchBNOp_sysu395'
TOOL = load_tool('model_converters/cmnas_to_mmreid.py')


def golden(name):
    return np.load(GOLDEN / f'{name}.npz')


def tensors(data, prefix):
    return {key[len(prefix) :]: torch.from_numpy(data[key].copy()) for key in data.files if key.startswith(prefix)}


def count_batches(state, arch):
    """Sets the counters as training leaves them: only what the architecture uses has counted."""
    for name, chosen in arch.items():
        official = name.replace('downsample.1', 'downsample.bn')
        for branch in ('sharable_bn',) if chosen == 'share' else ('visible_bn', 'thermal_bn'):
            state[f'backbone.{official}.{branch}.num_batches_tracked'] = torch.tensor(7)
    return state


@pytest.fixture(scope='module')
def official():
    return by_recipe(official_shapes(KEYS))


@pytest.fixture(scope='module')
def switches():
    return [int(value) for value in golden('03_full_cmnas_resnet50')['switch']]


@pytest.fixture(scope='module')
def arch(official, switches):
    names = official_order(official_norms(official))
    return {name: 'share' if value else 'split' for name, value in zip(names, switches, strict=True)}


@pytest.fixture(scope='module')
def model(official, arch):
    converted = to_mmreid(official, arch)
    model = MODELS.build(model_config(converted, arch))
    assert load_weights(model, converted).is_exact
    return model


def small_backbone(name, last_stride):
    """The network of a reduced golden file; that of last stride 2 has the parameters of the other."""
    data = golden(f'03_cmnas_switchbn_{name.replace("s2", "s1")}')
    state = {f'backbone.{key}': value for key, value in tensors(data, 'param/').items()}
    names = official_order(official_norms(state))
    arch = {name: 'share' if value else 'split' for name, value in zip(names, data['switch'], strict=True)}
    backbone = MODELS.build(
        dict(
            type='ResNet',
            depth=50 if len(names) == 53 else 18,
            stem_channels=64,
            base_channels=8,
            strides=(1, 2, 2, last_stride),
            norm_cfg=dict(type='mmreid.BranchBN2d'),
        )
    )
    context = BranchContext(('visible', 'infrared'))
    attach_branches(backbone, context)
    apply_arch(backbone, arch)
    converted = {key.removeprefix('backbone.'): value for key, value in to_mmreid(state, arch).items()}
    report = load_weights(backbone, converted)
    assert not report.missing and not report.unused and not report.reshaped
    return backbone, context, arch


@pytest.mark.parametrize('name', ['bottleneck_s1', 'bottleneck_s2', 'basic_s1'])
def test_reduced_networks_compute_the_same(name):
    """Both modalities, visible only, infrared only, and a training forward, against the official module."""
    data = golden(f'03_cmnas_switchbn_{name}')
    backbone, context, _ = small_backbone(name, int(data['last_stride']))
    x = torch.from_numpy(data['x'])
    backbone.eval()
    for mode, blocks in enumerate([(3, 3), (6, 0), (0, 6)]):
        context.set_blocks(*blocks)
        assert_near(backbone(x)[-1], data[f'eval_mode{mode}'], 1e-4)
    backbone.train()
    context.set_blocks(3, 3)
    assert_near(backbone(x)[-1], data['train_mode0'], 2e-3)


@pytest.mark.parametrize('name', ['bottleneck_s1', 'basic_s1'])
def test_reduced_networks_learn_the_same(name):
    """Gradients, their norms for every parameter, and running statistics after one training step."""
    data = golden(f'03_cmnas_switchbn_{name}')
    backbone, context, arch = small_backbone(name, 1)
    context.set_blocks(3, 3)
    backbone.train()
    loss = (backbone(torch.from_numpy(data['x']))[-1] * torch.from_numpy(data['train_loss_weights'])).mean()
    loss.backward()
    grads = {key: p.grad for key, p in backbone.named_parameters()}
    for key, expected in tensors(data, 'grad/').items():
        scale = expected.abs().max()
        assert_near(grads[key] / scale, (expected / scale).numpy(), 2e-3)
    norms = dict(zip(data['grad_norm_keys'].tolist(), data['grad_norms'], strict=True))
    theirs = to_mmreid({f'backbone.{key}': torch.tensor(value) for key, value in norms.items()}, arch)
    assert {key.removeprefix('backbone.') for key in theirs} == set(grads)
    for key, expected in theirs.items():
        assert grads[key.removeprefix('backbone.')].double().norm() == pytest.approx(float(expected), rel=5e-3), key
    after = {f'backbone.{key}': value for key, value in tensors(data, 'after_train/').items()}
    buffers = dict(backbone.named_buffers())
    for key, expected in to_mmreid(after, arch).items():
        assert_near(buffers[key.removeprefix('backbone.')], expected.numpy(), 2e-3)


@pytest.mark.parametrize('modality', [('visible', 'infrared'), ('visible', 'visible'), ('infrared', 'infrared')])
def test_the_whole_network_gives_the_golden_features(model, modality):
    data = golden('03_full_cmnas_resnet50')
    mode = {('visible', 'infrared'): 0, ('visible', 'visible'): 1, ('infrared', 'infrared'): 2}[modality]
    samples = [ReIDDataSample(metainfo=dict(modality=name)) for name in modality]
    x = torch.from_numpy(data['x'])
    model.eval()
    with torch.no_grad():
        for feature, name in (('before', 'global_feat'), ('after', 'feat')):
            model.test_feat = feature
            assert_near(model.extract_feat(x, samples), data[f'mode{mode}/{name}'], 1e-3)
        model.test_feat = 'after'
        mirrored = model.extract_feat(x.flip(0), samples[::-1])
    assert_near(mirrored.flip(0), data[f'mode{mode}/feat'], 1e-3)


def test_the_whole_network_trains_as_the_official_one(official, arch):
    """On both images twice, so that a batch has two of each modality."""
    data = golden('03_full_cmnas_resnet50')
    converted = to_mmreid(official, arch)
    model = MODELS.build(model_config(converted, arch)).train()
    load_weights(model, converted)
    model.branches.set_blocks(2, 2)
    before = torch.from_numpy(data['train_mode0/global_feat'])
    with torch.no_grad():
        feats = model.neck(model.backbone(torch.from_numpy(data['x']).repeat(2, 1, 1, 1)))
        assert_near(feats.before, before.numpy(), 1e-3)
        assert_near(model.head.classifier(feats.after), data['train_mode0/logits'], 1e-3)
        # Some channels hardly vary over four images, so that the batch norm magnifies the last digits of its input.
        assert_near(model.neck.bn(before), data['train_mode0/feat'], 1e-3)


def test_there_and_back_is_exact(official, arch, model):
    state = model.state_dict()
    back = to_official(state)
    assert {key: tuple(value.shape) for key, value in back.items()} == official_shapes(KEYS)
    again = to_mmreid(back, arch)
    assert again.keys() == state.keys() and all(torch.equal(again[key], state[key]) for key in state)
    unused = [key for key, value in back.items() if not torch.equal(value, official[key])]
    for key in unused:  # only what the architecture never runs may differ
        name = key.removeprefix('backbone.').split('.')[:-2]
        chosen = arch['.'.join(name).replace('downsample.bn', 'downsample.1')]
        assert (key.split('.')[-2] == 'sharable_bn') == (chosen == 'split')


def test_plain_imagenet_weights_go_where_the_official_code_puts_them():
    lines = (GOLDEN / '03_cmnas_imagenet_key_map.txt').read_text().splitlines()
    pairs = [line.split() for line in lines if line and not line.startswith('#')]
    backbone = MODELS.build(dict(type='ResNet', depth=50, base_channels=4, norm_cfg=dict(type='mmreid.BranchBN2d')))
    attach_branches(backbone, BranchContext(('visible', 'infrared')))
    apply_arch(backbone, 'split')
    plain = MODELS.build(dict(type='ResNet', depth=50, base_channels=4))
    state = {key: torch.randn(value.shape) for key, value in plain.state_dict().items() if 'num_batches' not in key}
    missing, unexpected = backbone.load_state_dict(state, strict=False)
    assert not unexpected and not [key for key in missing if 'num_batches' not in key]
    ours = backbone.state_dict()
    official = to_mmreid(
        {f'backbone.{theirs}': state[plain] for plain, theirs in pairs},
        dict.fromkeys(branch_norms(backbone), 'split'),
    )
    assert len(official) == len([key for key in ours if 'num_batches' not in key])
    assert all(torch.equal(ours[key.removeprefix('backbone.')], value) for key, value in official.items())


def test_counters_tell_the_architecture(official, arch):
    state = count_batches(dict(official), arch)
    assert infer_arch(state) == arch
    assert infer_arch(official) == {}
    state['backbone.bn1.visible_bn.num_batches_tracked'] = torch.tensor(3.5)  # as an average of them
    with pytest.raises(ValueError, match='bn1 .*sharable_bn and visible_bn'):
        infer_arch(state)


def write(path, state, **more):
    torch.save(dict(model={f'module.{key}': value for key, value in state.items()}, epoch=3, **more), path)
    return str(path)


@pytest.mark.long
def test_the_tool_converts_and_converts_back(official, arch, switches, tmp_path, capsys):
    theirs = write(tmp_path / 'theirs.pth', count_batches(dict(official), arch))
    TOOL.main([theirs, str(tmp_path / 'ours.pth')])
    assert 'convolutions' in capsys.readouterr().out
    ours = torch.load(tmp_path / 'ours.pth', weights_only=True)
    assert load_weights(MODELS.build(ours['meta']['model']), ours).is_exact
    assert load_arch(tmp_path / 'ours.pth.arch.json').norms == arch
    assert isinstance(MODELS.build(ours['meta']['model']), CrossModalReID)
    fragment = Config.fromfile(tmp_path / 'ours.pth.arch.py')
    assert fragment.arch == dict(arch, _delete_=True)

    TOOL.main([str(tmp_path / 'ours.pth'), str(tmp_path / 'back.pth'), '--to-official'])
    assert (tmp_path / 'back.pth.cfg').read_text().split() == [str(value) for value in switches]
    TOOL.main([str(tmp_path / 'back.pth'), str(tmp_path / 'again.pth'), '--arch', str(tmp_path / 'back.pth.cfg')])
    TOOL.main([str(tmp_path / 'back.pth'), str(tmp_path / 'told.pth')])
    assert load_arch(tmp_path / 'told.pth.arch.json').norms == arch
    again = torch.load(tmp_path / 'again.pth', weights_only=True)['state_dict']
    assert again.keys() == ours['state_dict'].keys()
    assert all(torch.equal(again[key], value) for key, value in ours['state_dict'].items())


def test_the_averaged_weights_can_be_taken(official, arch, tmp_path):
    averaged = {key: value + (0.0 if key.endswith('tracked') else 1.0) for key, value in official.items()}
    theirs = write(tmp_path / 'theirs.pth', official, ema=count_batches(averaged, arch))
    TOOL.main([theirs, str(tmp_path / 'ours.pth'), '--entry', 'ema'] + given(tmp_path, arch))
    ours = torch.load(tmp_path / 'ours.pth', weights_only=True)['state_dict']
    assert torch.equal(ours['backbone.conv1.weight'], official['backbone.conv1.weight'] + 1)
    assert ours['neck.bn.num_batches_tracked'].dtype == torch.int64


def given(folder, arch):
    (folder / 'config.cfg').write_text(switch_line(arch))
    return ['--arch', str(folder / 'config.cfg')]


def refused(match, *arguments, error=ValueError):
    with pytest.raises(error, match=match):
        TOOL.main([str(argument) for argument in arguments])


def test_what_cannot_be_converted_is_refused(official, arch, tmp_path):
    theirs, ours = write(tmp_path / 'theirs.pth', official), tmp_path / 'ours.pth'
    refused(' 0 of 53 .*--arch config.cfg', theirs, ours)
    refused("'ema', .*model, epoch", theirs, ours, '--entry', 'ema')
    refused('none; .*arch.json', theirs, ours, '--arch', tmp_path / 'none', error=FileNotFoundError)

    trained = write(tmp_path / 'trained.pth', count_batches(dict(official), arch))
    other = dict(arch, bn1='split')
    refused("bn1 .*'split', .*'share' ", trained, ours, *given(tmp_path, other))

    plain = tmp_path / 'plain.pth'
    torch.save(dict(model={'conv1.weight': torch.zeros(1)}), plain)
    refused('plain.pth .*thermal_bn', plain, ours)
    refused('plain.pth .*CrossModalReID', plain, ours, '--to-official')

    short = {key: value for key, value in official.items() if key != 'backbone.layer4.2.conv3.weight'}
    write(tmp_path / 'short.pth', short)
    refused('short.pth .*layer4.2.conv3', tmp_path / 'short.pth', ours, *given(tmp_path, arch))
    strange = write(tmp_path / 'strange.pth', dict(official, extra=torch.zeros(1)))
    refused('strange.pth: .* extra ', strange, ours, *given(tmp_path, arch))
    assert not list(tmp_path.glob('ours*'))


def test_files_are_not_replaced_without_being_asked(official, arch, tmp_path):
    theirs = write(tmp_path / 'theirs.pth', official)
    (tmp_path / 'ours.pth.arch.json').write_text('mine')
    refused('arch.json .*--force', theirs, tmp_path / 'ours.pth', *given(tmp_path, arch),
            error=FileExistsError)  # fmt: skip
    TOOL.main([theirs, str(tmp_path / 'ours.pth'), '--force', *given(tmp_path, arch)])
    assert json.loads((tmp_path / 'ours.pth.arch.json').read_text())['norms'] == arch


def test_a_searched_network_must_be_frozen_first(model):
    state = dict(model.state_dict())
    state['backbone.bn1.visible.weight'] = state['backbone.bn1.share.weight']
    with pytest.raises(ValueError, match='bn1 .*searched'):
        to_official(state)
