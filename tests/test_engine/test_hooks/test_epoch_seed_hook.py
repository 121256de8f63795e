# Copyright (c) mmreid contributors. All rights reserved.
import random

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

from mmreid.engine import EpochSeedHook


class DrawingDataset(Dataset):
    """Returns random numbers of all three libraries and stores nothing."""

    metainfo = dict(name='drawing')

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> dict:
        return dict(inputs=torch.tensor([random.random(), np.random.rand(), torch.rand(()).item(), 1.0]))


class Recorder:
    """Collects the batches of a toy run, by epoch.

    Args:
        runner (Runner): The runner.
    """

    def __init__(self, runner) -> None:
        self.epochs: dict[int, torch.Tensor] = {}
        forward = runner.model.forward

        def recording(inputs, *args, **kwargs):
            batch = torch.stack(list(inputs))
            self.epochs[runner.epoch] = torch.cat([self.epochs.get(runner.epoch, batch[:0]), batch])
            return forward(inputs, *args, **kwargs)

        runner.model.forward = recording


def run(make_runner, epochs: int = 3, **cfg) -> tuple[dict[int, torch.Tensor], list[float]]:
    """Trains and returns what the data set and the model have drawn.

    Args:
        make_runner (Callable): The fixture.
        epochs (int): Epochs to train.
        **cfg (Any): Further arguments of the fixture.

    Returns:
        tuple: Batches by epoch, and the draws of the model, two an epoch.
    """
    cfg.setdefault('custom_hooks', [dict(type='EpochSeedHook')])
    runner = make_runner(epochs=epochs, dataset=DrawingDataset(), **cfg)
    recorder = Recorder(runner)
    runner.train()
    return recorder.epochs, runner.model.draws


def test_epochs_differ_and_repeat(make_runner):
    first, draws = run(make_runner)
    random.seed(99), np.random.seed(99), torch.manual_seed(99)
    again, draws_again = run(make_runner)
    assert draws == draws_again
    for epoch, batch in first.items():
        assert torch.equal(batch, again[epoch])
    for column in range(3):
        assert not torch.equal(first[0][:, column], first[1][:, column])
    other, _ = run(make_runner, randomness=dict(seed=4))
    assert not torch.equal(first[0], other[0])


def test_an_epoch_does_not_depend_on_what_was_drawn_before(make_runner):
    """This is what makes a resumed run equal; MMEngine alone fails it."""

    def epoch_two(hooks, scores):
        return run(make_runner, epochs=2, custom_hooks=hooks, scores=scores)[0][1]

    hook = [dict(type='EpochSeedHook')]
    noisy = [dict(type='EpochSeedHook'), dict(type='DrawHook')]
    assert torch.equal(epoch_two(hook, None), epoch_two(noisy, None))
    assert not torch.equal(epoch_two([], None), epoch_two([dict(type='DrawHook')], None))


def test_resume_continues_the_stream(make_runner, work_dir):
    checkpoint = dict(type='SafeCheckpointHook', interval=1)
    whole, draws = run(make_runner, epochs=3, checkpoint=checkpoint)
    resumed, draws_resumed = run(
        make_runner, epochs=3, checkpoint=checkpoint, resume=True, load_from=f'{work_dir}/epoch_2.pth'
    )
    assert list(resumed) == [2] and torch.equal(resumed[2], whole[2])
    assert draws_resumed == draws[4:]


def test_ranks_differ(make_runner, monkeypatch):
    zero, _ = run(make_runner, epochs=1)
    monkeypatch.setattr('mmreid.engine.hooks.epoch_seed_hook.get_rank', lambda: 1)
    one, _ = run(make_runner, epochs=1)
    assert not torch.equal(zero[0], one[0])


def test_own_seed_wins(make_runner):
    own = [dict(type='EpochSeedHook', seed=5)]
    assert run(make_runner, 1, custom_hooks=own)[1] == run(make_runner, 1, randomness=dict(seed=5))[1]


def test_iteration_based_loop_seeds_at_intervals(make_runner, work_dir):
    """Whole: seeded at 0, 2, 4. Resumed at 2: the same draws from there on."""

    def train(**cfg) -> list[float]:
        hooks = [dict(type='EpochSeedHook', iter_interval=2)]
        checkpoint = dict(type='SafeCheckpointHook', interval=2, by_epoch=False)
        runner = make_runner(iters=6, custom_hooks=hooks, checkpoint=checkpoint, **cfg)
        # The toy data set has two batches; the infinite sampler avoids MMEngine's pause of two seconds between epochs.
        runner.train()
        return runner.model.draws

    sampler = dict(type='InfiniteSampler', shuffle=False)
    whole = train(sampler=sampler)
    assert len(set(whole)) == 6, 'a position is never seeded twice'
    torch.manual_seed(0)
    assert train(sampler=sampler, resume=True, load_from=f'{work_dir}/iter_2.pth') == whole[2:]


def test_refuses_a_bad_interval():
    with pytest.raises(ValueError, match='iter_interval=0 '):
        EpochSeedHook(iter_interval=0)
