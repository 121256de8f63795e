# Copyright (c) mmreid contributors. All rights reserved.
import re

import numpy as np
import pytest
import torch
from golden_networks import GOLDEN, by_recipe
from torch import nn

from mmreid.models import OSNet, branch_norms, drop_unused_stages
from mmreid.models.backbones.osnet import OSBlock
from mmreid.registry import MODELS

# Millions of parameters and of multiply-adds for 256 x 128, with the linear layer behind the pooling, but without a
# classifier: table 1 of the OSNet paper and those of its widths.
PUBLISHED = dict(x1_0=(2.2, 978.9), x0_75=(1.3, 571.8), x0_5=(0.6, 272.9), x0_25=(0.2, 82.3))
VARIANTS = (None, 'ibn', 'ain')


def multiply_adds(net, height, width):
    total = 0

    def count(conv, _, output):
        nonlocal total
        total += output[0].numel() * conv.weight[0].numel()

    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(count)
    net(torch.empty(1, 3, height, width, device='meta'))
    return total


@pytest.mark.parametrize('arch', PUBLISHED)
def test_size_and_cost_are_those_of_the_paper(arch):
    with torch.device('meta'):
        net = OSNet(arch)
    net.eval()
    channels = net.conv5.conv.out_channels
    linear, norm = channels * 512, 3 * 512  # with its bias
    parameters = sum(p.numel() for p in net.parameters()) + linear + norm
    assert round(parameters / 1e6, 1) == PUBLISHED[arch][0]
    assert round((multiply_adds(net, 256, 128) + linear) / 1e6, 1) == PUBLISHED[arch][1]


@pytest.mark.parametrize(
    ('variant', 'expected'),
    [
        (None, set()),
        ('ibn', {'conv1.bn', 'conv2.0.IN', 'conv2.1.IN'}),
        ('ain', {'conv1.bn', 'conv2.0.IN', 'conv2.1.IN', 'conv3.1.IN', 'conv4.0.IN'}),
    ],
)
def test_instance_norms_are_where_the_papers_have_them(variant, expected):
    net = OSNet('x0_25', variant)
    assert {name for name, module in net.named_modules() if isinstance(module, nn.InstanceNorm2d)} == expected
    inside = {name for name in expected if variant == 'ain' and name != 'conv1.bn'}
    plain = {f'{name}.conv3.bn' for name, module in net.named_modules() if isinstance(module, OSBlock)}
    without = {name for name in plain if isinstance(net.get_submodule(name), nn.Identity)}
    assert without == {name.replace('IN', 'conv3.bn') for name in inside}


@pytest.mark.parametrize('variant', VARIANTS)
def test_torchreids_weights_load_and_compute_the_same(variant):
    """Weights are made from torchreid's names, so a name that differs would give others."""
    cases, net = np.load(GOLDEN / 'torchreid_osnet.npz'), OSNet('x0_25', variant)
    state = net.state_dict()
    assert len(state) == cases[f'{str(variant).lower()}.entries']
    official = {key: in_torchreid(key) if variant == 'ain' else key for key in state}
    weights = by_recipe({official[key]: tuple(value.shape) for key, value in state.items()}, int(cases['seed']))
    net.load_state_dict({key: weights[official[key]] for key in state})
    x = torch.from_numpy(cases['x']).float()
    for mode in ('eval', 'train'):
        net.train(mode == 'train')
        expected = torch.from_numpy(cases[f'{str(variant).lower()}.{mode}'])
        torch.testing.assert_close(net(x)[0], expected, rtol=1e-4, atol=1e-5)


def in_torchreid(key):
    """The name of an entry in ``osnet_ain``, as the docstring of OSNet tells it."""
    key = re.sub(r'^conv([23])\.2\.0\.', r'pool\1.0.', key)
    key = key.replace('.conv2a.', '.conv2.0.layers.0.')
    return re.sub(r'\.conv2([bcd])\.(\d)\.', lambda m: f'.conv2.{"abcd".index(m[1])}.layers.{m[2]}.', key)


@pytest.mark.long
def test_pretrained_weights_of_torchreid_load_by_their_own_names(tmp_path):
    net = OSNet('x0_25', 'ain')
    net.init_weights()
    state = {in_torchreid(key): value for key, value in net.state_dict().items()}
    assert state.keys() != net.state_dict().keys()
    torch.save(
        dict(state, **{'fc.0.weight': torch.zeros(512, 128), 'classifier.weight': torch.zeros(5, 512)}),
        tmp_path / 'a.pth',
    )
    loaded = OSNet('x0_25', 'ain', init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'a.pth')))
    assert not torch.equal(loaded.conv2[0].conv2a.conv1.weight, net.conv2[0].conv2a.conv1.weight)
    loaded.init_weights()
    for key, value in net.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value), key


def test_streams_see_fields_of_three_to_nine():
    block = OSBlock(64, 64, dict(type='BN'), None).eval()
    for stream, size in zip('abcd', (3, 5, 7, 9), strict=True):
        for module in block.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.constant_(module.weight, 0.1)
        for other in set('abcd') - {stream}:
            for module in getattr(block, f'conv2{other}').modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.zeros_(module.weight)
        nn.init.zeros_(block.gate.fc2.weight)  # the gate sees the whole map
        x = torch.ones(1, 64, 15, 15, requires_grad=True)
        block(x)[0, :, 7, 7].sum().backward()
        rows, columns = x.grad[0].abs().sum(0).nonzero().unbind(1)
        assert (rows.min(), rows.max()) == (columns.min(), columns.max()) == (7 - size // 2, 7 + size // 2)


@pytest.mark.parametrize('variant', VARIANTS)
def test_maps_of_all_stages(variant):
    net = OSNet('x0_25', variant, out_indices=(0, 1, 2, -1))
    net.init_weights()
    maps = net(torch.rand(2, 3, 128, 64))
    assert [tuple(x.shape[1:]) for x in maps] == [(64, 16, 8), (96, 8, 4), (128, 8, 4), (128, 8, 4)]
    maps[-1].square().sum().backward()
    assert all(p.grad is not None for p in net.parameters())


@torch.no_grad()
def test_the_style_of_an_image_is_lost_behind_instance_norms_only():
    x = torch.rand(2, 3, 64, 32)
    changes = {}
    for variant in VARIANTS:
        torch.manual_seed(0)
        net = OSNet('x0_25', variant)
        net.eval()
        changes[variant] = float((net(5 * x)[0] - net(x)[0]).norm() / net(x)[0].norm())
    assert changes['ibn'] < 0.01 and changes['ain'] < 0.01 and changes[None] > 1


def test_stages_freeze_and_statistics_stay():
    net = OSNet('x0_25', frozen_stages=2, norm_eval=True)
    assert net.train() is net and net.conv5.training and not net.conv5.bn.training
    trained = {name.split('.')[0] for name, p in net.named_parameters() if p.requires_grad}
    assert trained == {'conv4', 'conv5'}
    assert not net.conv3.training and net.eval() is net


def test_unused_stages_go():
    x = torch.rand(2, 3, 64, 32)
    net = OSNet('x0_25', out_indices=(1,), frozen_stages=4)
    net.eval()
    expected = net(x)[0]
    drop_unused_stages(net)
    assert not hasattr(net, 'conv4') and not hasattr(net, 'conv5')
    torch.testing.assert_close(net(x)[0], expected)
    net.train()


def test_each_batch_norm_can_be_split_by_modality():
    net = MODELS.build(dict(type='OSNet', arch='x0_25', norm_cfg=dict(type='mmreid.BranchBN2d')))
    batch_norms = sum(isinstance(module, nn.BatchNorm2d) for module in OSNet('x0_25').modules())
    assert len(branch_norms(net)) == batch_norms


@pytest.mark.parametrize(
    'wrong', [dict(arch='x2_0'), dict(variant='in'), dict(frozen_stages=5), dict(out_indices=(4,))]
)
def test_what_it_does_not_know_is_refused(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=rf'{name} of OSNet .*{value}'):
        OSNet(**wrong)
