# Copyright (c) mmreid contributors. All rights reserved.
"""Several optimizers for one model: every parameter is in exactly one."""

import pytest
from torch import nn

from mmreid.engine import MultiOptimWrapperConstructor


class TwoPlayers(nn.Module):
    def __init__(self):
        super().__init__()
        self.generator = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
        self.generator2 = nn.Linear(1, 1)
        self.judge = nn.ModuleDict(dict(body=nn.Linear(3, 2), head=nn.Linear(2, 1)))
        self.scale = nn.Parameter(nn.Linear(1, 1).bias)


SGD = dict(type='SGD', lr=0.1)


def build(**cfg):
    model = TwoPlayers()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    wrappers = MultiOptimWrapperConstructor(cfg)(model)
    owned = {
        key: [names[id(entry)] for group in wrapper.optimizer.param_groups for entry in group['params']]
        for key, wrapper in wrappers.items()
    }
    return wrappers, owned, list(names.values())


def test_every_parameter_is_in_one_and_the_last_takes_the_rest():
    wrappers, owned, names = build(
        play=dict(optimizer=SGD, modules='generator'),
        judge=dict(optimizer=dict(type='Adam', lr=0.2), modules=['judge.head'], clip_grad=dict(max_norm=5)),
        rest=dict(optimizer=SGD),
    )
    assert owned['play'] == ['generator.0.weight', 'generator.0.bias', 'generator.1.weight', 'generator.1.bias']
    assert owned['judge'] == ['judge.head.weight', 'judge.head.bias']
    assert sorted(sum(owned.values(), [])) == sorted(names)
    assert type(wrappers['judge'].optimizer).__name__ == 'Adam' and wrappers['judge'].clip_grad_kwargs


def test_paramwise_keys_see_the_names_of_the_whole_model():
    paramwise = dict(custom_keys={'judge.head': dict(lr_mult=10)}, norm_decay_mult=0)
    wrappers, owned, _ = build(
        play=dict(optimizer=dict(SGD, weight_decay=0.3), paramwise_cfg=paramwise),
        other=dict(optimizer=SGD, modules=['judge.body']),
    )
    rates = dict(zip(owned['play'], (group['lr'] for group in wrappers['play'].optimizer.param_groups), strict=True))
    decays = [group['weight_decay'] for group in wrappers['play'].optimizer.param_groups]
    assert rates['judge.head.weight'] == pytest.approx(1.0) and rates['generator.0.weight'] == 0.1
    assert dict(zip(owned['play'], decays, strict=True))['generator.1.weight'] == 0


def test_entries_outside_of_the_wrappers_hold_for_all():
    wrappers, *_ = build(
        accumulative_counts=2, a=dict(optimizer=SGD, modules='judge'), b=dict(type='OptimWrapper', optimizer=SGD)
    )
    assert [wrapper._accumulative_counts for wrapper in wrappers.values()] == [2, 2]


@pytest.mark.parametrize(
    ('cfg', 'message'),
    [
        (dict(a=dict(optimizer=SGD, modules='jugde'), b=dict(optimizer=SGD)), "'jugde'.*generator2"),
        (
            dict(a=dict(optimizer=SGD, modules='judge'), b=dict(optimizer=SGD, modules='judge.body')),
            'optim_wrapper.. .*optim_wrapper.. .*judge.body',
        ),
        (dict(a=dict(optimizer=SGD, modules='judge')), 'none .* a of optim_wrapper.*scale'),
        (dict(a=dict(optimizer=SGD), b=dict(optimizer=SGD)), 'a and b of optim_wrapper .*modules'),
        (dict(type='OptimWrapper'), 'MultiOptimWrapperConstructor .*type of'),
        (
            dict(a=dict(optimizer=SGD), b=dict(optimizer=SGD, modules=['generator', 'generator2', 'judge', 'scale'])),
            'optim_wrapper.a .*modules',
        ),
    ],
)
def test_refusals(cfg, message):
    with pytest.raises(ValueError, match=message):
        build(**cfg)
