# Copyright (c) mmreid contributors. All rights reserved.
"""Blocks of norms that a search splits or shares as a whole."""

import numpy as np
import pytest
from mmengine.registry import DefaultScope

from mmreid.engine.search.arch_space import ArchSpace, distances
from mmreid.models.layers import branch_norms
from mmreid.registry import MODELS
from mmreid.utils.config import load_config
from mmreid.utils.meta_device import meta_device

RESNET = [
    'bn1',
    *(f'layer{i}.{j}.{n}' for i in (1, 2) for j in (0, 1) for n in ('bn1', 'bn2')),
    'layer2.0.downsample.1',
]


def space(blocks='stage', state='share'):
    return ArchSpace(blocks, dict.fromkeys(RESNET, state))


def norms_of(model):
    cfg = load_config(f'configs/_base_/models/cmnas_{model}.py')
    with DefaultScope.overwrite_default_scope('mmreid'), meta_device():
        return dict.fromkeys(branch_norms(MODELS.build(cfg.model.backbone)), 'share')


def test_levels_of_a_resnet():
    assert {name: len(norms) for name, norms in space().blocks.items()} == dict(bn1=1, layer1=4, layer2=5)
    blocks = space('block').blocks
    assert list(blocks) == ['bn1', 'layer1.0', 'layer1.1', 'layer2.0', 'layer2.1']
    assert blocks['layer2.0'] == ['layer2.0.bn1', 'layer2.0.bn2', 'layer2.0.downsample.1']
    assert list(space('norm').blocks) == RESNET and space('norm').size == 2 ** len(RESNET)


@pytest.mark.parametrize(
    ('model', 'stages', 'blocks'),
    [('resnet50', 5, 17), ('regnetx-800mf', 5, 17), ('convnext-tiny', 9, 23), ('swin-tiny', 6, 17)],
)
def test_levels_of_other_backbones(model, stages, blocks):
    norms = norms_of(model)
    for level, count in (('stage', stages), ('block', blocks), ('norm', len(norms))):
        found = ArchSpace(level, norms).blocks
        assert len(found) == count and sorted(sum(found.values(), [])) == sorted(norms)


def test_a_space_of_many_norms_has_a_size():
    assert ArchSpace('norm', dict.fromkeys(map('norms.{}'.format, range(104)), 'share')).size == 2**104


def test_states_and_back():
    for blocks in ('stage', 'block', dict(early=['bn1', 'layer1.*'], late='layer2.*')):
        searched = space(blocks)
        archs = [searched.architecture(number) for number in range(searched.size)]
        assert len(set(archs)) == searched.size and archs[0] == searched.all_shared()
        assert [searched.read(searched.states(arch)) for arch in archs] == archs
        assert len({searched.key(arch) for arch in archs}) == len(archs)
    assert set(searched.states(archs[-1]).values()) == {'split'}
    assert [searched.title(arch) for arch in archs] == ['all shared', 'early', 'late', 'all split']


def test_norms_of_no_block_keep_their_state():
    searched = space(dict(late='layer2.*'), state='split')
    states = searched.states(searched.all_shared())
    assert {name for name, state in states.items() if state == 'share'} == {n for n in RESNET if n.startswith('layer2')}


def test_the_key_of_an_architecture_is_the_same_in_another_space():
    stage, norm = space(), space('norm')
    arch = stage.read({'*': 'share', 'layer1.*': 'split'})
    assert stage.key(arch) == norm.key(norm.read(stage.states(arch))) == '-SSSS-----'


def test_distances():
    found = distances([(True, False), (True, True)], [(True, True)])
    assert np.array_equal(found, [[0.5], [0.0]])


@pytest.mark.parametrize(
    ('blocks', 'message'),
    [
        ('layer', "blocks='layer' .*'stage', 'block', 'norm'"),
        (dict(stem='conv1'), "'stem' names 'conv1'.*bn1, layer1.0.bn1"),
        (dict(one='layer1.*', two='layer1.0.bn1'), "layer1.0.bn1 .*'one' and 'two'"),
        (dict(), 'is empty'),
    ],
)
def test_refuses_blocks(blocks, message):
    with pytest.raises(ValueError, match=message):
        space(blocks)


def test_refuses_an_architecture_that_divides_a_block():
    with pytest.raises(ValueError, match="part of the block 'layer1'"):
        space().read({'*': 'share', 'layer1.0.*': 'split'})
