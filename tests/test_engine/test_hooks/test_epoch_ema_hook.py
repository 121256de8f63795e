# Copyright (c) mmreid contributors. All rights reserved.
"""The momentum of averaged weights, given for an epoch."""

import pytest
import torch
from tiny_config import tiny_config
from tiny_data import write_market

from mmreid.engine.hooks import EpochEMAHook, OverwritingEMAHook
from mmreid.engine.runners import ReIDRunner


@pytest.fixture(scope='module')
def market(tmp_path_factory):
    return write_market(tmp_path_factory.mktemp('market'))


def runner_of(market, work_dir, hook, batches, **options):
    cfg = tiny_config('baseline/bot_resnet50_1xb64-120e_market1501-256x128.py', market, work_dir)
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.train_dataloader.sampler.batches_per_epoch = batches
    cfg.custom_hooks = [*cfg.custom_hooks, hook]
    cfg.default_hooks.checkpoint.update(interval=1, max_keep_ckpts=9)
    cfg.merge_from_dict({'train_cfg.max_epochs': 2, **options})
    return ReIDRunner.from_cfg(cfg)


def trained(market, work_dir, hook, batches=2, **options):
    runner = runner_of(market, work_dir, hook, batches, **options)
    runner.train()
    average = next(each for each in runner.hooks if type(each).__name__ == hook['type'])
    return average.ema_model.momentum, torch.load(work_dir / 'epoch_2.pth', weights_only=True)['state_dict']


def assert_equal(found, expected):
    assert all(torch.equal(value, expected[key]) for key, value in found.items())


def test_the_average_is_that_of_the_momentum_for_each_update_also_when_resumed(market, tmp_path):
    relative = dict(type='EpochEMAHook', momentum_per_epoch=0.36, update_buffers=True)
    momentum, weights = trained(market, tmp_path / 'relative', relative)
    assert momentum == pytest.approx(0.2, abs=1e-12)
    plain = dict(type='EMAHook', momentum=momentum, update_buffers=True)
    assert_equal(weights, trained(market, tmp_path / 'plain', plain)[1])
    resume = dict(resume=True, load_from=str(tmp_path / 'relative/epoch_1.pth'))
    assert_equal(trained(market, tmp_path / 'resumed', relative, **resume)[1], weights)


@pytest.mark.parametrize(('batches', 'interval'), [(1, 1), (3, 1), (4, 2)])
def test_an_epoch_leaves_the_same_share_whatever_its_length(market, tmp_path, batches, interval):
    hook = dict(type='OverwritingEMAHook', momentum_per_epoch=0.36, interval=interval)
    momentum, _ = trained(market, tmp_path, hook, batches)
    assert (1 - momentum) ** (batches / interval) == pytest.approx(0.64, abs=1e-12)


def test_nothing_is_computed_where_nothing_is_trained(market, tmp_path):
    runner = runner_of(market, tmp_path, dict(type='EpochEMAHook', momentum_per_epoch=0.36), 2)
    runner.test()
    average = next(hook for hook in runner.hooks if isinstance(hook, EpochEMAHook))
    assert average.ema_model.momentum == 0.0002  # MMEngine's, which is never used


@pytest.mark.parametrize('hook', [EpochEMAHook, OverwritingEMAHook])
@pytest.mark.parametrize(
    ('given', 'said'),
    [
        (dict(momentum_per_epoch=0.6, momentum=0.003), r'{} has momentum_per_epoch=0\.6 and momentum=0\.003'),
        (dict(momentum_per_epoch=1), 'momentum_per_epoch=1 of {}'),
        (dict(momentum_per_epoch=-0.5), r'momentum_per_epoch=-0\.5 of {}'),
        (dict(momentum_per_epoch=float('nan')), 'momentum_per_epoch=nan of {}'),
    ],
)
def test_what_cannot_be_is_refused(hook, given, said):
    with pytest.raises(ValueError, match=said.format(hook.__name__)):
        hook(**given)
