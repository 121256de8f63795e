# Copyright (c) mmreid contributors. All rights reserved.
"""Layers that each modality has a copy of."""

import copy

import pytest
import torch
from torch import nn

from mmreid.models import BranchContext, BranchCopies, copy_layers
from mmreid.registry import MODELS

from .modality_rank_work import STEMS, batch, build, gradients


def network():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(nn.BatchNorm2d(4), nn.ReLU()))


def test_each_branch_has_a_copy_that_sees_its_rows_only():
    context, plain = BranchContext(('a', 'b')), network()
    split = copy.deepcopy(plain)
    copies = copy_layers(split, ['0', '1.0'], context)
    assert [type(layer) for layer in copies] == [BranchCopies] * 2 and split[1][0] is copies[1]
    with torch.no_grad():
        copies[0].b.weight.mul_(2).add_(1)
    x = torch.randn(5, 3, 8, 6)
    context.set_blocks(2, 3)
    found = split(x)
    other = copy.deepcopy(plain)
    other[0].load_state_dict(copies[0].b.state_dict())
    torch.testing.assert_close(found[:2], copy.deepcopy(plain)(x[:2]))
    torch.testing.assert_close(found[2:], other(x[2:]))
    split.eval()
    context.set_blocks(2, 3)
    both = split(x)
    for name, rows in (('a', slice(0, 2)), ('b', slice(2, 5))):
        context.set_only(name)
        torch.testing.assert_close(split(x[rows]), both[rows])


def test_plain_weights_load_into_every_copy_and_own_ones_into_theirs():
    plain, split = network(), network()
    (copies,) = copy_layers(split, ['1'], BranchContext(('a', 'b')))
    plain[1][0].running_mean.fill_(5)
    assert not any(split.load_state_dict(plain.state_dict()))
    assert copies.a[0].running_mean[0] == copies.b[0].running_mean[0] == 5
    copies.b[0].running_mean.fill_(7)
    copies.align()
    assert copies.b[0].running_mean[0] == 5  # still the weights of the plain layer, so all start equal
    copies.b[0].running_mean.fill_(7)
    other = network()
    (loaded,) = copy_layers(other, ['1'], BranchContext(('a', 'b')))
    other.load_state_dict(split.state_dict())
    loaded.align()
    assert (loaded.a[0].running_mean[0], loaded.b[0].running_mean[0]) == (5, 7)


@pytest.mark.parametrize(
    ('names', 'named'), [(['2'], "'2'"), ([''], "''"), (['1', '1.0'], "'1.0'"), (['0', '0'], "'0'")]
)
def test_layers_that_cannot_be_copied_are_refused(names, named):
    with pytest.raises(ValueError, match=named):
        copy_layers(network(), names, BranchContext(('a', 'b')))


def test_branch_norms_are_not_copied():
    with pytest.raises(ValueError, match="'bn1' .*arch"):
        build(copied_layers=('bn1',))


def test_a_model_may_have_copied_layers_and_split_norms():
    model = build(copied_layers=('conv1',), arch={'*': 'share', 'bn1': 'split'})
    assert {key.split('.')[2] for key in model.state_dict() if key.startswith('backbone.conv1.')} == {
        'visible',
        'infrared',
    }
    assert model.arch['bn1'] == 'split'


def test_the_stems_of_a_model_start_equal_and_learn_apart():
    model = build(**STEMS)
    model.init_weights()
    stem = model.backbone.conv1
    assert torch.equal(stem.visible.weight, stem.infrared.weight) and model.arch == {}
    grads = gradients(model.train(), batch())
    assert not [name for name, grad in grads.items() if grad is None]
    assert not torch.equal(grads['backbone.conv1.visible.weight'], grads['backbone.conv1.infrared.weight'])
    again = copy.deepcopy(model)
    again.branches.set_only('infrared')
    assert again.backbone.conv1.context is again.branches
    with pytest.raises(ValueError, match='0 branch norms'):
        build(**dict(STEMS, arch='split'))


def test_a_plain_backbone_needs_copied_layers():
    with pytest.raises(ValueError, match='ResNet .*copied_layers'):
        MODELS.build(
            dict(
                type='CrossModalReID',
                backbone=dict(type='ResNet', depth=18, base_channels=4, out_indices=(3,)),
                neck=dict(type='BNNeck', in_channels=32),
                head=dict(type='CrossModalHead', in_channels=32, num_classes=4),
            )
        )
