# Copyright (c) mmreid contributors. All rights reserved.
import pytest
import torch
from torch import nn

from mmreid.models import IBN, ResNetIBN
from mmreid.registry import MODELS
from mmreid.utils.load_report import load_weights

SMALL = dict(depth=50, stem_channels=8, base_channels=8)


@pytest.mark.parametrize(
    ('ibn', 'expected'),
    [
        ('a', {f'layer{i}.{j}.bn1.IN' for i, count in ((1, 3), (2, 4), (3, 6)) for j in range(count)}),
        ('b', {'bn1', 'layer1.2.IN', 'layer2.3.IN'}),
    ],
)
def test_instance_norms_are_where_the_paper_has_them(ibn, expected):
    backbone = ResNetIBN(**SMALL, ibn=ibn)
    found = {name for name, module in backbone.named_modules() if isinstance(module, nn.InstanceNorm2d)}
    assert found == expected
    assert backbone(torch.rand(2, 3, 64, 32))[0].shape == (2, 256, 2, 1)


def test_half_of_the_channels_lose_the_style_of_an_image():
    norm = IBN(6, dict(type='BN')).eval()
    x = torch.randn(2, 6, 4, 4)
    out = norm(5 * x + 3)
    torch.testing.assert_close(out[:, :3], norm(x)[:, :3], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(out[:, 3:], (5 * x + 3)[:, 3:], rtol=1e-3, atol=1e-3)


def test_plain_weights_load_but_for_the_new_norms():
    plain = MODELS.build(dict(type='ResNet', **SMALL))
    for value in plain.state_dict().values():
        value.copy_(torch.rand(value.shape)) if value.is_floating_point() else None
    state = plain.state_dict()
    report = load_weights(ResNetIBN(**SMALL, ibn='b'), state)
    assert report.missing == [f'{name}.IN.{entry}' for name in ('layer1.2', 'layer2.3') for entry in ('weight', 'bias')]
    assert report.unused == ['bn1.running_mean', 'bn1.running_var', 'bn1.num_batches_tracked']

    backbone = ResNetIBN(**SMALL, ibn='a')
    report = load_weights(backbone, state)
    assert report.is_exact
    norm = backbone.layer2[1].bn1
    assert torch.equal(torch.cat((norm.IN.weight, norm.BN.weight)), state['layer2.1.bn1.weight'])
    assert torch.equal(norm.BN.running_var, state['layer2.1.bn1.running_var'][8:])
    assert 'layer1.0.bn1.running_var' in state  # what was loaded from is as it was


def test_recomputing_activations_gives_the_same_gradient():
    grads = []
    for with_cp in (False, True):
        torch.manual_seed(0)
        backbone = ResNetIBN(**SMALL, with_cp=with_cp)
        x = torch.rand(2, 3, 64, 32, generator=torch.Generator().manual_seed(1))
        backbone(x)[0].square().sum().backward()
        grads.append(backbone.layer1[2].IN.weight.grad)
    torch.testing.assert_close(*grads)


def test_what_it_does_not_know_is_refused():
    with pytest.raises(ValueError, match="ibn='c' of ResNetIBN"):
        ResNetIBN(50, ibn='c')
    with pytest.raises(ValueError, match='ResNetIBN .*deep_stem=False'):
        ResNetIBN(50, deep_stem=True)
