# Copyright (c) mmreid contributors. All rights reserved.
"""Schedules that end after the training does."""

import pytest
from mmengine.config import ConfigDict
from tiny_config import tiny_config
from tiny_data import write_market

from mmreid.engine.checks.schedule_end import late_end
from mmreid.engine.runners import ReIDRunner

COSINE = dict(type='CosineAnnealingLR', begin=2, end=25, by_epoch=True, convert_to_iter_based=True)


@pytest.mark.parametrize(
    ('schedulers', 'said'),
    [
        ([dict(type='LinearLR', end=2), COSINE], 'epoch 25 (param_scheduler.1.end of Cosine'),
        (dict(type='MultiStepLR', milestones=[2, 7]), 'epoch 7 (param_scheduler.milestones of MultiStepLR'),
        (dict(weights=[ConfigDict(COSINE)], arch=[]), '(param_scheduler.weights.0.end of Cosine'),
        ([dict(type='LinearLR', end=31, by_epoch=False)], 'iteration 31 (param_scheduler.0.end'),
    ],
)
def test_the_latest_end_is_named(schedulers, said):
    message = late_end(schedulers, 3, 30)
    assert said in message and ('epoch 3,' in message or 'iteration 30,' in message)


def test_schedules_that_end_in_time_or_with_the_training_are_fine():
    fits = [dict(COSINE, end=3), dict(type='MultiStepLR', milestones=[1, 2]), dict(type='ReduceOnPlateauLR')]
    assert late_end(fits, 3, 30) is None
    assert late_end(None, 3, 30) is None and late_end([], 3, 30) is None


def test_a_training_with_a_long_schedule_is_warned(tmp_path, mmreid_log):
    cfg = tiny_config(
        'baseline/quickstart_resnet18_1xb64-25e_procedural-64x32.py', write_market(tmp_path / 'data'), tmp_path
    )
    cfg.merge_from_dict({'train_cfg.max_epochs': 1, 'train_dataloader.sampler.batches_per_epoch': 2})
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    runner = ReIDRunner.from_cfg(cfg)
    runner.logger.addHandler(mmreid_log.handler)
    runner.train()
    assert 'the schedule ends at epoch 25 (param_scheduler.1.end of CosineAnnealingLR), training at epoch 1' in (
        mmreid_log.text
    )
