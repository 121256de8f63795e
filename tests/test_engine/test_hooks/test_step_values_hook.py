# Copyright (c) mmreid contributors. All rights reserved.
"""Losses are read late, but all of them are logged and checked, and nothing broken gets any further."""

import pytest
import torch
from mmengine.hooks import Hook
from torch.utils.data import Dataset

from mmreid.engine.hooks import EMAHook, StepValuesHook

NAN = float('nan')


def late(interval):
    return dict(runtime_info=dict(type='StepValuesHook', interval=interval))


@pytest.mark.parametrize('interval', [1, 3, 50])
def test_the_log_is_that_of_values_read_at_once(make_runner, read_log, interval):
    script = [dict(pos_dist=0.5, loss_triplet=2.0), dict(pos_dist=1.5)] * 4
    logger = dict(logger=dict(type='LoggerHook', interval=2))
    runners = []
    for hooks in (late(interval), {}):
        torch.manual_seed(0)
        runners.append(make_runner(script=script, epochs=4, default_hooks=hooks | logger))
    for runner in runners:
        runner.train()
    found, expected = (
        {key: history.data[0].tolist() for key, history in runner.message_hub.log_scalars.items() if 'time' not in key}
        for runner in runners
    )
    assert list(found) == list(expected) and found == expected and len(found['train/loss']) == 8
    lines = [line.split('loss: ')[1] for line in read_log().splitlines() if 'loss: ' in line]
    assert len(lines) == 8 and lines[:4] == lines[4:]


def test_what_could_not_be_measured_is_not_logged(make_runner):
    script = [dict(pos_dist=NAN), dict(pos_dist=0.5), dict(pos_dist=NAN, loss_bad=NAN), {}]
    runner = make_runner(script=script, default_hooks=late(50))
    runner.train()
    logged = runner.message_hub.log_scalars
    assert logged['train/pos_dist'].data[0].tolist() == [0.5] and len(logged['train/loss_bad'].data[0]) == 1


def test_a_bad_loss_is_found_late_but_as_that_of_its_step(make_runner):
    script = [{}, dict(loss_bad=NAN), {}, {}]
    hooks = [dict(type='ReIDHealthHook')]
    logger = dict(logger=dict(type='LoggerHook', interval=100))
    runner = make_runner(script=script, epochs=1, custom_hooks=hooks, default_hooks=late(50) | logger)
    with pytest.raises(RuntimeError, match=r'epoch 1, iteration 2: .*loss_bad=nan.* lr=0.01'):
        runner.train()
    assert runner.iter == 1  # the last of the epoch, when all are read

    runner = make_runner(script=script[1:], iters=4, custom_hooks=hooks, default_hooks=late(3) | logger)
    with pytest.raises(RuntimeError, match=r'epoch 1, iteration 1: .*loss_bad=nan'):
        runner.train()
    assert runner.iter == 1  # by iterations, an epoch of the data ends here


class LongDataset(Dataset):
    """So many vectors that no epoch ends in a test."""

    def __len__(self) -> int:
        return 400

    def __getitem__(self, index: int) -> dict:
        return dict(inputs=torch.ones(4))


@pytest.mark.parametrize('kind', ['SafeCheckpointHook', 'CheckpointHook'])
def test_it_is_read_before_a_checkpoint(make_runner, work_dir, kind):
    runner = make_runner(
        script=[{}, {}, dict(loss_bad=NAN), {}],
        iters=4,
        dataset=LongDataset(),
        checkpoint=dict(type=kind, interval=3, by_epoch=False, save_last=False),
        custom_hooks=[dict(type='ReIDHealthHook')],
        default_hooks=late(50) | dict(logger=dict(type='LoggerHook', interval=100)),
    )
    with pytest.raises(RuntimeError, match='iteration 3'):
        runner.train()
    with pytest.raises(FileNotFoundError):
        open(f'{work_dir}/iter_3.pth')


class Averages(Hook):
    """Keeps the average as it is after each step."""

    priority = 'LOWEST'

    def before_train(self, runner) -> None:
        self.found = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        (hook,) = (hook for hook in runner.hooks if isinstance(hook, EMAHook))
        self.found.append(hook.ema_model.module.layer.weight.clone())


@pytest.mark.parametrize(
    'options',
    [
        dict(momentum=0.5),
        dict(momentum=0.5, update_buffers=True),
        dict(momentum=0.5, begin_iter=3),
        dict(ema_type='StochasticWeightAverage'),
    ],
)
def test_the_average_takes_up_nothing_that_is_not_finite(make_runner, options):
    averages = Averages()
    script = [{}, {}, dict(loss_bad=NAN), {}]
    make_runner(script=script, iters=4, custom_hooks=[dict(type='EMAHook', **options), averages]).train()
    first, second, *bad = averages.found
    assert not torch.equal(first, second) and all(torch.equal(each, second) for each in bad)


def test_an_interval_below_1_is_refused():
    with pytest.raises(ValueError, match='interval=0 of StepValuesHook'):
        StepValuesHook(0)
