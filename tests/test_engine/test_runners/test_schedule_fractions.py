# Copyright (c) mmreid contributors. All rights reserved.
"""Schedules in fractions of the run: they are those in epochs, also when a run is resumed with another length."""

import copy
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.runner import IterBasedTrainLoop
from test_tools.test_resume import assert_same
from tiny_config import ROOT, tiny_config
from tiny_data import write_market

from mmreid.engine.runners import ReIDRunner
from mmreid.engine.runners.schedule_fractions import resolve_fractions
from mmreid.utils.config import load_config

COSINE = dict(type='CosineAnnealingLR', by_epoch=True, convert_to_iter_based=True)
WARM_UP = dict(type='LinearLR', start_factor=0.1, by_epoch=True, convert_to_iter_based=True)
STEPS = dict(type='MultiStepLR', by_epoch=True)
RELATIVE = [dict(WARM_UP, end=0.25), dict(COSINE, begin=0.25, end=1.0), dict(STEPS, milestones=[0.5, 0.75])]
LOOP = SimpleNamespace(max_epochs=40, max_iters=1500)

# What these configs said in epochs.
SMALL = {
    'ecn/ecn_resnet18_1xb64-40e_procedural-64x32.py': (4, 40),
    'cmnas/cmnas-share_resnet18_1xb64-40e_procedural-64x32.py': (4, 40),
    'gs/gs-baseline_resnet18_1xb64-8e_procedural-64x32.py': (1, 8),
    'pretrain/pretrain_resnet18_1xb64-20e_procedural-64x32.py': (2, 20),
}


def absolute(epochs):
    begin = epochs // 4
    return [
        dict(WARM_UP, begin=0, end=begin),
        dict(COSINE, begin=begin, end=epochs),
        dict(STEPS, milestones=[epochs // 2, 3 * epochs // 4]),
    ]


@pytest.fixture(scope='module')
def market(tmp_path_factory):
    return write_market(tmp_path_factory.mktemp('market'))


def trained(market, work_dir, schedule, epochs, **options):
    cfg = tiny_config('baseline/bot_resnet50_1xb64-120e_market1501-256x128.py', market, work_dir)
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.train_dataloader.sampler.batches_per_epoch = 2
    cfg.default_hooks.checkpoint.update(interval=1, max_keep_ckpts=9)
    cfg.param_scheduler = copy.deepcopy(schedule)
    cfg.merge_from_dict({'train_cfg.max_epochs': epochs, **options})
    ReIDRunner.from_cfg(cfg).train()
    return torch.load(work_dir / f'epoch_{epochs}.pth', weights_only=True)


@pytest.fixture(scope='module')
def whole(market, tmp_path_factory):
    work_dir = tmp_path_factory.mktemp('whole')
    return work_dir, trained(market, work_dir, RELATIVE, 4)


def assert_same_training(found, expected):
    for part in ('state_dict', 'optimizer', 'param_schedulers'):
        assert_same(found[part], expected[part], part)


def test_a_run_is_that_of_the_schedule_in_epochs(market, whole, tmp_path):
    assert_same_training(whole[1], trained(market, tmp_path, absolute(4), 4))


@pytest.mark.parametrize('epochs', [4, 8])
def test_a_resumed_run_is_too_also_with_another_length(market, whole, tmp_path, epochs):
    begin = dict(resume=True, load_from=str(whole[0] / 'epoch_2.pth'))
    found = trained(market, tmp_path / 'relative', RELATIVE, epochs, **begin)
    assert_same_training(found, trained(market, tmp_path / 'absolute', absolute(epochs), epochs, **begin))


@pytest.mark.parametrize('name', SMALL)
def test_the_small_configs_train_as_they_did_in_epochs(name):
    begin, end = SMALL[name]
    cfg = load_config(str(ROOT / 'configs' / name))
    loop = SimpleNamespace(max_epochs=cfg.train_cfg.max_epochs, max_iters=None)
    assert resolve_fractions(cfg.param_scheduler, loop) == [
        dict(WARM_UP, begin=0, end=begin),
        dict(COSINE, begin=begin, end=end),
    ]


@pytest.mark.parametrize(
    ('given', 'counted'),
    [
        (dict(STEPS, milestones=[0.5, 35]), dict(milestones=[20, 35])),
        (dict(STEPS, milestones=(0.1, 0.111)), dict(milestones=[4, 4])),
        (dict(WARM_UP, end=1.0), dict(begin=0, end=40)),
        (dict(WARM_UP, end=0.001), dict(begin=0, end=1)),
        (dict(COSINE, begin=0.999), dict(begin=39, end=40)),
        (dict(COSINE, begin=0.25, end=30), dict(begin=10, end=30)),
        (dict(COSINE, begin=10, end=0.5), dict(begin=10, end=20)),
        (dict(WARM_UP, end=0.5, by_epoch=False), dict(begin=0, end=750)),
    ],
)
def test_floats_are_fractions_and_whole_numbers_counts(given, counted):
    kept = copy.deepcopy(given)
    assert resolve_fractions(given, LOOP).items() >= counted.items() and given == kept


def test_what_has_no_fractions_is_as_it_was():
    given = dict(weights=[ConfigDict(STEPS, milestones=[20, 30])], arch=[])
    assert resolve_fractions(given, LOOP) == given
    assert resolve_fractions(None, LOOP) is None
    nested = dict(weights=[dict(STEPS, milestones=[0.5])], arch=[])
    assert resolve_fractions(nested, LOOP)['weights'][0]['milestones'] == [20]


@pytest.mark.parametrize(
    ('given', 'said'),
    [
        (dict(WARM_UP, end=1.5), r'param_scheduler\.0\.end=1\.5'),
        (dict(WARM_UP, end=40.0), r'param_scheduler\.0\.end=40\.0'),
        (dict(COSINE, begin=-0.1), r'param_scheduler\.0\.begin=-0\.1'),
        (dict(STEPS, milestones=[0.5, float('nan')]), r'param_scheduler\.0\.milestones=nan'),
        (dict(COSINE, begin=0.5, end=0.5), r'param_scheduler\.0 begins at 0\.5 .* end=0\.5'),
        (dict(COSINE, begin=1.0), r'param_scheduler\.0 begins at 1\.0'),
    ],
)
def test_floats_that_are_no_fractions_are_refused(given, said):
    with pytest.raises(ValueError, match=said):
        resolve_fractions([given], LOOP)


def test_a_loop_without_epochs_has_no_fraction_of_them():
    loop = object.__new__(IterBasedTrainLoop)
    loop._max_iters = 60
    with pytest.raises(ValueError, match=r'param_scheduler\.0\.end=0\.25 .* by_epoch=False'):
        resolve_fractions([dict(WARM_UP, end=0.25)], loop)
    (found,) = resolve_fractions([dict(type='LinearLR', end=0.25, by_epoch=False)], loop)
    assert (found['begin'], found['end']) == (0, 15)
