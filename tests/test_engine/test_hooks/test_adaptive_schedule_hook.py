# Copyright (c) mmreid contributors. All rights reserved.
from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook

from mmreid.engine import AdaptiveScheduleHook


class LossHook(Hook):
    """Replaces the model's losses by those of a script, one per epoch, before other hooks see them."""

    priority = 'VERY_HIGH'

    def __init__(self, losses):
        self.losses, self.rates = losses, []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        outputs['loss'] = torch.tensor(self.losses[runner.epoch] * (0.5 if batch_idx else 1.5))  # the mean counts

    def before_train_epoch(self, runner):
        self.rates.append(round(runner.optim_wrapper.optimizer.param_groups[0]['lr'], 8))


@pytest.fixture
def train(make_runner, work_dir):
    def run(losses, epochs=20, resume=False, schedule=None, folder='run', interval=1, **kwargs):
        script = LossHook(losses)
        torch.manual_seed(0)  # of the toy's weights
        runner = make_runner(
            epochs=epochs,
            checkpoint=dict(type='SafeCheckpointHook', interval=interval),
            resume=resume,
            work_dir=f'{work_dir}/{folder}',
            custom_hooks=[script, AdaptiveScheduleHook(**kwargs)],
        )
        if schedule:
            runner.param_schedulers = schedule
        runner.train()
        return runner, script.rates

    return run


def test_cuts_once_and_ends_in_proportion(train, work_dir):
    losses = [10, 4, 3, 2.9, 2.85, 2.7, 1, 1, 1, 1]  # the reference is 4, so 2.85 is not yet below
    runner, rates = train(losses, interval=100)
    assert rates == [0.01] * 6 + [0.001] * 3  # cut after epoch 6, and 6 // 2 = 3 epochs more
    assert runner.epoch == 9 and runner.max_epochs == 9 and runner.max_iters == 18
    assert [path.name for path in Path(work_dir, 'run').glob('*.pth')] == ['epoch_9.pth']  # the last epoch is saved


@pytest.mark.parametrize(
    ('arguments', 'epochs', 'expected'),
    [
        (dict(), 8, [0.01] * 6 + [0.001] * 2),  # not longer than the config says
        (dict(threshold=0.5), 8, [0.01] * 6 + [0.001] * 2),
        (dict(reference_epoch=1, gamma=0.5), 20, [0.01] * 2 + [0.005]),
        (dict(extension=0.0), 20, [0.01] * 6),
        (dict(extension=1.0), 20, [0.01] * 6 + [0.001] * 6),
        (dict(threshold=0.1), 9, [0.01] * 9),  # never
    ],
)
def test_every_number_is_a_key(train, arguments, epochs, expected):
    losses = [10, 4, 3, 2.9, 2.9, 1.5] + [1] * 12
    runner, rates = train(losses, epochs, **arguments)
    assert rates == expected and runner.epoch == len(expected)


@pytest.mark.parametrize('stop', [1, 3, 5, 7])
def test_a_resumed_run_ends_where_it_would_have_and_cuts_once(train, work_dir, stop):
    losses = [10, 4, 3, 2.9, 2, 1, 1, 1, 1]
    whole, rates = train(losses, folder='whole')
    assert rates == [0.01] * 5 + [0.001] * 2
    train(losses, folder='parts')
    Path(work_dir, 'parts/last_checkpoint').write_text(f'{work_dir}/parts/epoch_{stop}.pth')
    for epoch in range(stop + 1, 8):
        Path(work_dir, f'parts/epoch_{epoch}.pth').unlink()
    resumed, rest = train(losses, folder='parts', resume=True)
    assert rest == rates[stop:] and resumed.epoch == whole.epoch == resumed.max_epochs == 7
    ends = [torch.load(f'{work_dir}/{folder}/epoch_7.pth', weights_only=True) for folder in ('whole', 'parts')]
    assert all(torch.equal(value, ends[1]['state_dict'][key]) for key, value in ends[0]['state_dict'].items())
    assert ends[0]['optimizer']['param_groups'] == ends[1]['optimizer']['param_groups']


def test_a_warm_up_and_later_steps_go_on_from_the_cut_rate(train):
    schedule = [
        dict(type='LinearLR', start_factor=0.5, begin=0, end=2),
        dict(type='MultiStepLR', milestones=[7], gamma=0.1),
    ]
    _, rates = train([10, 4, 3, 2.9, 2, 1, 1, 1, 1, 1], extension=1.0, schedule=schedule)
    assert rates == [0.005, 0.01, 0.01, 0.01, 0.01, 0.001, 0.001, 0.0001, 0.0001, 0.0001]


def test_numbers_out_of_range_and_loops_without_epochs_are_refused(make_runner):
    for arguments in (dict(reference_epoch=0), dict(threshold=1), dict(gamma=0), dict(extension=-1)):
        with pytest.raises(ValueError, match='{}={}'.format(*next(iter(arguments.items())))):
            AdaptiveScheduleHook(**arguments)
    with pytest.raises(ValueError, match='AdaptiveScheduleHook .*EpochBasedTrainLoop'):
        make_runner(iters=3, custom_hooks=[AdaptiveScheduleHook()]).train()
