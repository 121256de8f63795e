# Copyright (c) mmreid contributors. All rights reserved.
"""Changed settings of optimizers and schedules: a resumed run has the rates of one that began with them."""

import copy

import pytest
import torch
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.optim.scheduler import ReduceOnPlateauLR
from torch import nn

from mmreid.engine.checkpoints.resume_schedule import (
    apply_changes,
    fit_optimizer_state,
    keep_initial_rates,
    state_at_start,
)
from mmreid.registry import PARAM_SCHEDULERS

pytestmark = pytest.mark.filterwarnings('ignore:Detected call of `scheduler.step')  # nothing is optimized here

WARM_UP = dict(type='LinearLR', start_factor=0.1, end=5, by_epoch=False)
STEPS = [WARM_UP, dict(type='MultiStepLR', milestones=[2, 4], gamma=0.1)]
COSINE = [dict(WARM_UP, end=3), dict(type='CosineAnnealingLR', T_max=6, eta_min=1e-4)]
ITER_COSINE = [dict(type='CosineAnnealingLR', T_max=18, eta_min_ratio=0.01, by_epoch=False)]
PLATEAU = [dict(type='ReduceOnPlateauLR', monitor='x', factor=0.5, patience=0)]
MOMENTUM = [dict(type='MultiStepLR', milestones=[2]), dict(type='LinearMomentum', start_factor=0.5, end=4)]


class Run:
    """A training without a network: optimizers, schedulers, and counters; three iterations an epoch."""

    def __init__(self, schedule, optimizer=torch.optim.Adam, lr=0.01, decay=5e-4, groups=2, several=False):
        layers = [nn.Linear(2, 2) for _ in range(groups)]
        self.train_dataloader = range(3)
        self.epoch = self.iter = 0

        def wrapper():
            parameters = [dict(params=layer.parameters(), lr=lr * 10**-i) for i, layer in enumerate(layers)]
            return OptimWrapper(optimizer(parameters, lr=lr, weight_decay=decay))

        def build(one):
            built = [dict(step, optimizer=one) for step in copy.deepcopy(schedule)]
            return [PARAM_SCHEDULERS.build(step) for step in built]

        if several:
            self.optim_wrapper = OptimWrapperDict(weights=wrapper(), arch=wrapper())
            self.param_schedulers = {name: build(one) for name, one in self.optim_wrapper.items()}
        else:
            self.optim_wrapper = wrapper()
            self.param_schedulers = build(self.optim_wrapper)
        keep_initial_rates(self)

    def train(self, epochs, cut=None, results=()):
        for _ in range(epochs):
            for by_epoch in (False, False, False, True):
                for scheduler in self.schedulers:
                    if scheduler.by_epoch == by_epoch:
                        scheduler.step()
            self.epoch, self.iter = self.epoch + 1, self.iter + 3
            for scheduler in self.schedulers:
                if isinstance(scheduler, ReduceOnPlateauLR):
                    scheduler.step(dict(x=results[self.epoch - 1]))
            if self.epoch == cut:
                for group in self.optim_wrapper.optimizer.param_groups:
                    group['lr'] *= 0.1
        return self

    @property
    def schedulers(self):
        found = self.param_schedulers
        return [one for part in found.values() for one in part] if isinstance(found, dict) else found

    @property
    def groups(self):
        found = self.optim_wrapper.param_groups
        return [one for part in found.values() for one in part] if isinstance(found, dict) else found

    def settings(self):
        return [{key: value for key, value in group.items() if key != 'params'} for group in self.groups]

    def resume(self, old, changes):
        """Does what MMEngine does, and what the runner adds."""
        start = state_at_start(self)
        checkpoint = dict(optimizer=copy.deepcopy(old.optim_wrapper.state_dict()))
        fit_optimizer_state(self, checkpoint, changes, 'epoch_3.pth')
        self.optim_wrapper.load_state_dict(checkpoint['optimizer'])
        for scheduler, state in zip(self.schedulers, old.schedulers, strict=False):
            scheduler.load_state_dict(copy.deepcopy(state.state_dict()))
        self.epoch, self.iter = old.epoch, old.iter
        apply_changes(self, start, changes)
        return self


def assert_same_rates(found, expected, epochs=3):
    """Now, and in each epoch to come."""
    for _ in range(epochs):
        for one, other in zip(found.settings(), expected.settings(), strict=True):
            rates = {key: value for key, value in other.items() if isinstance(value, float)}
            assert {key: one.get(key) for key in rates} == pytest.approx(rates, rel=1e-9)
            assert {**one, **rates} == other
        for one, other in zip(found.schedulers, expected.schedulers, strict=True):
            assert one.get_last_value() == pytest.approx(other.get_last_value(), rel=1e-9)
            assert (one.base_values, one.last_step) == (other.base_values, other.last_step)
        found.train(1)
        expected.train(1)


LR = {'optim_wrapper.optimizer.lr': ('0.01', '0.03')}
SHAPE = {'param_scheduler[MultiStepLR].milestones': ('a', 'b')}
OTHER = {'param_scheduler.type': ('a', 'b')}


@pytest.mark.parametrize('several', [False, True])
@pytest.mark.parametrize('groups', [1, 2])
@pytest.mark.parametrize('schedule', [STEPS, COSINE, ITER_COSINE, MOMENTUM, []])
def test_a_new_learning_rate_and_weight_decay(schedule, groups, several):
    old = Run(schedule, groups=groups, several=several).train(3)
    new = dict(schedule=schedule, groups=groups, several=several, lr=0.03, decay=1e-2)
    assert_same_rates(Run(**new).resume(old, LR), Run(**new).train(3))


@pytest.mark.parametrize(
    'then, now, changes',
    [
        (STEPS, [WARM_UP, dict(STEPS[1], milestones=[3, 5], gamma=0.3)], SHAPE),
        (STEPS, [dict(WARM_UP, end=12), STEPS[1]], SHAPE),
        (COSINE, [COSINE[0], dict(COSINE[1], T_max=12)], SHAPE),
        (STEPS, COSINE, OTHER),
        (COSINE, STEPS[:1], OTHER),
        (STEPS, [], OTHER),
        ([], STEPS, OTHER),
    ],
)
def test_another_schedule(then, now, changes):
    assert_same_rates(Run(now).resume(Run(then).train(3), changes), Run(now).train(3))


@pytest.mark.parametrize('schedule', [STEPS, COSINE, ITER_COSINE, MOMENTUM, []])
def test_nothing_moves_where_nothing_is_new(schedule):
    """Bit for bit, even if something unrelated to the optimizer has changed."""
    old = Run(schedule).train(3)
    resumed = Run(schedule).resume(old, {'model.head.loss_weight': ('1', '2')})
    assert resumed.settings() == old.settings()
    for one, other in zip(resumed.schedulers, old.schedulers, strict=True):
        assert one.state_dict() == other.state_dict()


@pytest.mark.parametrize('schedule', [STEPS, COSINE, []])
def test_what_a_hook_has_cut_stays_cut(schedule):
    old = Run(schedule).train(3, cut=2)
    found = Run(schedule, lr=0.03).resume(old, LR).groups[0]['lr']
    plain = Run(schedule).train(3).groups[0]['lr']
    expected = Run(schedule, lr=0.03).train(3).groups[0]['lr'] * old.groups[0]['lr'] / plain
    assert found == pytest.approx(expected) and found < 0.2 * Run(schedule, lr=0.03).train(3).groups[0]['lr']


def test_what_followed_the_results_goes_on_following():
    results = [3, 2, 4, 1, 5, 5]
    old = Run(PLATEAU).train(3, results=results)
    assert old.groups[0]['lr'] == pytest.approx(0.005)
    resumed = Run(PLATEAU, lr=0.04).resume(old, LR)
    assert resumed.groups[0]['lr'] == pytest.approx(0.02) and resumed.schedulers[0].best == 2
    resumed.train(3, results=results)
    assert resumed.groups[0]['lr'] == pytest.approx(Run(PLATEAU, lr=0.04).train(6, results=results).groups[0]['lr'])


@pytest.mark.parametrize('then, now', [(torch.optim.SGD, torch.optim.Adam), (torch.optim.Adam, torch.optim.SGD)])
def test_another_optimizer_begins_without_state(then, now):
    def step(run):
        for group in run.optim_wrapper.optimizer.param_groups:
            for parameter in group['params']:
                parameter.grad = torch.ones_like(parameter)
        run.optim_wrapper.optimizer.step()

    old = Run(STEPS, then)
    step(old)
    resumed = Run(STEPS, now).resume(old.train(3), {'optim_wrapper.optimizer.type': ('a', 'b')})
    assert not resumed.optim_wrapper.optimizer.state
    step(resumed)
    assert resumed.settings() == Run(STEPS, now).train(3).settings()


@pytest.mark.parametrize(
    'state', [None, [], dict(), dict(param_groups=7), dict(param_groups=[3]), dict(param_groups=[dict(params=1)])]
)
def test_state_of_other_groups_is_refused(state):
    run = Run(STEPS)
    other = Run(STEPS, groups=3).optim_wrapper.state_dict() if state is None else state
    with pytest.raises(ValueError, match='epoch_3.pth .*optim_wrapper.constructor, paramwise_cfg'):
        fit_optimizer_state(run, dict(optimizer=other), {}, 'epoch_3.pth')
    with pytest.raises(ValueError, match='epoch_3.pth .*optim_wrapper.constructor, paramwise_cfg'):
        fit_optimizer_state(Run(STEPS, several=True), dict(optimizer=other), {}, 'epoch_3.pth')


def test_more_batches_an_epoch_move_schedules_in_iterations():
    """Schedules that were converted to iterations stay at their epoch."""
    old = Run(ITER_COSINE).train(3)
    longer = [dict(ITER_COSINE[0], T_max=36)]
    resumed = Run(longer)
    resumed.train_dataloader = range(6)
    resumed.resume(old, {'train_dataloader.batch_size': ('8', '4')})
    assert resumed.groups[0]['lr'] == pytest.approx(old.groups[0]['lr'])
    again = Run(longer)
    again.train_dataloader = range(6)
    again.resume(resumed, {'model.head.loss_weight': ('1', '2')})
    assert again.settings() == resumed.settings()


@pytest.mark.parametrize('schedule', [STEPS, ITER_COSINE])
@pytest.mark.parametrize(
    'counts', [dict(iter=10**9), pytest.param(dict(epoch=2 * 10**6, iter=6 * 10**6), marks=pytest.mark.long)]
)
def test_a_run_without_end_is_not_computed_anew(schedule, counts):
    run = Run(schedule)
    start = state_at_start(run)
    vars(run).update(counts)
    with pytest.raises(ValueError, match=f'5000000 .* {counts["iter"]} iterations'):
        apply_changes(run, start, LR)


def test_a_schedule_that_counts_without_end_is_not_computed_anew():
    run = Run(STEPS)
    start = state_at_start(run)
    run.schedulers[0]._global_step = 2**39
    with pytest.raises(ValueError, match=f'{2**39} steps .*5000000'):
        apply_changes(run, start, LR)


def test_epochs_without_schedules_cost_nothing():
    run = Run([])
    start = state_at_start(run)
    run.epoch, run.iter = 1, 10**9
    apply_changes(run, start, LR)
    assert run.groups[0]['lr'] == 0.01


@pytest.mark.parametrize('by_epoch', [True, False])
def test_one_cycle_takes_its_rates_from_its_own_maximum(by_epoch):
    cycle = [dict(type='OneCycleLR', eta_max=0.1, total_steps=30, by_epoch=by_epoch)]
    old = Run(cycle).train(3)
    resumed, same = Run(cycle, lr=0.03).resume(old, LR), Run(cycle).train(3)
    assert resumed.groups[0]['lr'] == pytest.approx(same.groups[0]['lr'])
    assert_same_rates(resumed, same)
