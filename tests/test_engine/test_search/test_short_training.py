# Copyright (c) mmreid contributors. All rights reserved.
"""A short training is the training that is searched for, with its schedule shortened, and in a process of its own."""

import os
import signal

import pytest
from tiny_search import short_search_config

from mmreid.engine.search.short_training import short_config, train_and_judge
from mmreid.engine.search.side_process import SideProcess
from mmreid.utils.config import load_config

CONFIG = 'configs/cmnas/cmnas-search_resnet50_1xb128-120e_sysu-256x128.py'


def schedule(*entries):
    cfg = short_search_config('work_dir', param_scheduler=list(entries))
    return short_config(cfg, {}, epochs=5, fold=0)['param_scheduler']


def test_all_but_data_and_length_is_as_in_the_training():
    search, training = load_config(CONFIG), load_config(CONFIG.replace('-search', '-share'))
    short = short_config(search, {'bn1': 'split'}, epochs=6, fold=2)
    assert short['model'] == dict(training.model.to_dict(), arch={'bn1': 'split'})
    for section in ('optim_wrapper', 'randomness', 'env_cfg'):
        assert short[section] == training.to_dict()[section]
    assert [hook['type'] for hook in short['custom_hooks']] == [
        hook.type for hook in training.custom_hooks if hook.type != 'ProgressBarHook'
    ]
    assert short['train_cfg'] == dict(type='EpochBasedTrainLoop', max_epochs=6, val_interval=6)
    parts = [short[f'{name}_dataloader']['dataset'] for name in ('train', 'val')]
    assert [part['part'] for part in parts] == ['train', 'held_out'] and {part['fold'] for part in parts} == {2}
    images = [dict(part['dataset'], pipeline=None) for part in parts]
    assert images[0] == images[1] == dict(training.train_dataloader.dataset, pipeline=None, serialize_data=False)
    assert parts[1]['dataset']['pipeline'] == training.test_dataloader.dataset.pipeline
    assert search.train_dataloader.dataset.get('fold') is None  # the config of the search is not changed


def test_schedules_are_shortened_in_proportion():
    warm_up, cosine = schedule(
        dict(type='LinearLR', start_factor=0.1, begin=0, end=2, by_epoch=True, convert_to_iter_based=True),
        dict(type='CosineAnnealingLR', begin=0.1),
    )
    assert warm_up == dict(type='LinearLR', start_factor=0.1, begin=0, end=0.1, by_epoch=False)
    assert cosine == dict(type='CosineAnnealingLR', begin=0.1, by_epoch=False)
    (steps,) = schedule(dict(type='MultiStepLR', milestones=[5, 10], gamma=0.1))
    assert steps == dict(type='MultiStepLR', milestones=[0.25, 0.5], gamma=0.1, by_epoch=False)


@pytest.mark.parametrize(
    ('given', 'start'),
    [
        ({}, None),
        (dict(load_from='start.pth'), 'start.pth'),
        (dict(resume=True, load_from=None, load_from_if_new='start.pth'), 'start.pth'),
        (dict(resume=True, load_from='epoch_3.pth'), None),
    ],
)
def test_short_trainings_start_where_the_training_does(tmp_path, given, start):
    cfg = short_search_config(tmp_path)
    cfg.update(given)
    short = short_config(cfg, {}, 1, 0)
    assert short['load_from'] == start and not short['resume']


@pytest.mark.parametrize(
    ('entry', 'message'),
    [
        (dict(type='CosineAnnealingLR', T_max=20), 'T_max=20 of CosineAnnealingLR'),
        (dict(type='ExponentialLR', gamma=0.95), 'gamma=0.95 of ExponentialLR'),
        (dict(type='CosineRestartLR', periods=[40, 80], restart_weights=[1, 1], eta_min=0), 'periods=.* of CosineRes'),
        (dict(type='LinearLR', begin=0, end=500, by_epoch=False), 'end=500 of LinearLR'),
        (dict(type='MultiStepLR', milestones=[5, 70], gamma=0.1), 'epoch 70, .*max_epochs=20'),
    ],
)
def test_refuses_schedules_that_it_cannot_shorten(entry, message):
    with pytest.raises(ValueError, match=message):
        schedule(entry)


def test_the_same_training_twice_gives_the_same_score(tmp_path):
    cfg = short_config(short_search_config(tmp_path), dict.fromkeys(map('norms.{}'.format, range(4)), 'split'), 1, 1)
    first, again = (train_and_judge(cfg, None, str(tmp_path)) for _ in range(2))
    assert first['score'] == again['score'] and 0 < first['score'] < 100
    directions = [first['metrics'][f'planted/{name}/mAP'] for name in ('v2t', 't2v')]
    assert first['score'] == pytest.approx(sum(directions) / 2)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_side_process_does_jobs_raises_their_errors_and_ends(monkeypatch):
    monkeypatch.setenv('RANK', '1')
    with SideProcess(eval) as job:
        assert job("__import__('os').getenv('RANK')") is None and job('1 + 2') == 3
        with pytest.raises(ZeroDivisionError):
            job('1 / 0')
        pid = job("__import__('os').getpid()")
        assert pid == job("__import__('os').getpid()") != os.getpid()
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(RuntimeError, match='status -9'):
            job('1')
        process = job._process
    assert not process.is_alive()
