# Copyright (c) mmreid contributors. All rights reserved.
"""What loops, hooks and tools may ask of every model: the attributes exist, with or without a part behind them."""

import pytest
from mmengine.model import BaseDataPreprocessor
from torch import nn

from mmreid.models import BranchContext, PixelReID
from mmreid.registry import MODELS
from mmreid.utils.unwrap_model import unwrap_model

from .modality_rank_work import build

ATTRIBUTES = ('backbone', 'head', 'mutator', 'branches')


def plain(kind, **changes):
    cfg = dict(
        type=kind,
        backbone=dict(type='ResNet', depth=18, base_channels=4),
        neck=dict(type='BNNeck', in_channels=32),
        head=dict(type='ReIDHead', in_channels=32, num_classes=3),
    )
    return MODELS.build(dict(cfg, **changes))


def test_a_model_without_parts_has_none_of_them():
    model = PixelReID()
    assert [getattr(model, name) for name in ATTRIBUTES] == [None] * len(ATTRIBUTES)
    assert model.arch == {} and model.phase == 'weights'


@pytest.mark.parametrize(
    ('make', 'present'),
    [
        (lambda: plain('ImageReID'), {'backbone', 'head'}),
        (lambda: build(), {'backbone', 'head', 'branches'}),
        (lambda: build(mutator=dict(type='BNMutator')), {'backbone', 'head', 'branches', 'mutator'}),
    ],
    ids=['plain', 'cross-modal', 'searched'],
)
def test_parts_are_modules_of_the_tree(make, present):
    model = make()
    assert {name for name in ATTRIBUTES if getattr(model, name) is not None} == present
    children = dict(model.named_children())
    assert present - {'branches'} == set(children) & set(ATTRIBUTES)
    assert bool(model.arch) == ('branches' in present and 'mutator' not in present)
    if 'branches' in present:
        assert isinstance(model.branches, BranchContext) and model.branches.names == ('visible', 'infrared')


def test_a_wrapped_model_is_unwrapped():
    model = BaseDataPreprocessor()
    assert unwrap_model(model) is model
    assert unwrap_model(nn.DataParallel(model)) is model
