# Copyright (c) mmreid contributors. All rights reserved.
"""Applies settings of optimizers and schedules that were changed before a run is resumed."""

import copy
import math
import warnings

from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.optim.scheduler.param_scheduler import _ParamScheduler
from mmengine.runner import Runner

from .resume_checks import Changes, schedulers_changed

# What a scheduler that follows validation results remembers.
_SEEN = ('best', 'num_bad_epochs', 'cooldown_counter', 'last_step')

# This many steps of schedulers take about a minute.
MOST_STEPS = 5 * 10**6

State = dict[str, tuple[list[dict], list[dict]]]


def keep_initial_rates(runner: Runner) -> None:
    """Stores the initial learning rates, as schedulers do, for optimizers without a scheduler."""
    for wrapper in _wrappers(runner).values():
        for group in wrapper.param_groups:
            group.setdefault('initial_lr', group['lr'])


def state_at_start(runner: Runner) -> State:
    """Copies the settings of the optimizers and the states of the schedulers, as the config makes them.

    Call it before anything is loaded. The keys are the names of the optimizers; a single one is called ''.
    """
    start = {}
    for name, wrapper in _wrappers(runner).items():
        settings = [
            {key: copy.copy(value) for key, value in one.items() if key != 'params'} for one in wrapper.param_groups
        ]
        start[name] = settings, [copy.deepcopy(scheduler.state_dict()) for scheduler in _schedulers(runner, name)]
    return start


def fit_optimizer_state(runner: Runner, checkpoint: dict, changes: Changes, filename: str) -> None:
    """Checks that the state of the optimizers fits, and empties the state of those whose type has changed.

    Args:
        runner (Runner): A runner whose optimizers are built.
        checkpoint (dict): The checkpoint; its ``optimizer`` may be changed.
        changes (dict): What has changed; see :func:`.resume_checks.find_changes`.
        filename (str): The checkpoint, for messages.

    Raises:
        ValueError: If the parameters are divided differently among optimizers or groups.
    """
    if 'optimizer' not in checkpoint:
        return
    saved = checkpoint['optimizer']
    states = saved if isinstance(runner.optim_wrapper, OptimWrapperDict) else {'': saved}
    wrappers = _wrappers(runner)
    now = {name: [len(group['params']) for group in one.optimizer.param_groups] for name, one in wrappers.items()}
    try:
        then = {name: [len(group['params']) for group in state['param_groups']] for name, state in states.items()}
    except (TypeError, KeyError, AttributeError):
        then = None
    if then != now:
        raise ValueError(
            f'{filename} cannot be resumed: this config divides the trained parameters differently among optimizers '
            'or groups (optim_wrapper.constructor, paramwise_cfg, modules); resume with the config of the run, or '
            'use load_from instead of resume to start a new run from its weights'
        )
    for name in wrappers:
        if '.'.join(filter(None, ('optim_wrapper', name, 'optimizer.type'))) in changes:
            states[name]['state'] = {}


def apply_changes(runner: Runner, start: State, changes: Changes) -> None:
    """Replaces the settings that came with a checkpoint by those of this config.

    Schedules are recomputed up to the current position of the run. Any other change of the learning rate, by a hook or
    by a scheduler that follows validation results, stays as a factor.

    Args:
        runner (Runner): A runner that has just resumed.
        start (dict): What :func:`state_at_start` returned before.
        changes (dict): What has changed; see :func:`.resume_checks.find_changes`.

    Raises:
        ValueError: If the run is too long for that.
    """
    epochs, iters = runner.epoch, runner.iter
    length = len(runner.train_dataloader)
    new_iters = epochs * length if epochs and iters // epochs != length else iters
    for name, wrapper in _wrappers(runner).items():
        schedulers, groups = _schedulers(runner, name), wrapper.param_groups
        factors, seen = [1.0] * len(groups), [{} for _ in schedulers]
        if not schedulers_changed(changes):
            factors = _other_factors(groups, schedulers, epochs)
            seen = [{key: vars(one)[key] for key in _SEEN} if _follows_results(one) else {} for one in schedulers]
        settings, states = start[name]
        for group, values in zip(groups, settings, strict=True):
            for key in group.keys() - values.keys() - {'params'}:
                del group[key]
            group.update(values)
        for scheduler, state in zip(schedulers, states, strict=True):
            for key in vars(scheduler).keys() - state.keys() - {'optimizer'}:
                delattr(scheduler, key)
            scheduler.load_state_dict(copy.deepcopy(state))
        _step(schedulers, epochs, new_iters)
        for group, factor in zip(groups, factors, strict=True):
            group['lr'] *= factor
        for scheduler, known in zip(schedulers, seen, strict=True):
            last = scheduler.get_last_value()
            if scheduler.param_name == 'lr':
                last = [value * factor for value, factor in zip(last, factors, strict=True)]
            scheduler.load_state_dict(dict(known, _last_value=last))


def _other_factors(groups: list[dict], schedulers: list[_ParamScheduler], epochs: int) -> list[float]:
    """Compares the saved learning rates with those that the old schedules alone would have made."""
    saved = [group['lr'] for group in groups]
    # After a change of the batch size, these are not the iterations of the run.
    iters = max((scheduler._global_step for scheduler in schedulers if not scheduler.by_epoch), default=0)
    for group in groups:
        group.update({key[8:]: value for key, value in group.items() if key.startswith('initial_')})
    for scheduler in schedulers:
        results = _follows_results(scheduler)
        scheduler.load_state_dict(dict(last_step=-1, _global_step=0 if results else -1))
        if not results:
            scheduler.step()  # as all others do when they are built
    _step(schedulers, epochs, iters)
    pairs = zip(saved, (group['lr'] for group in groups), strict=True)
    return [1.0 if not alone or math.isclose(rate, alone, rel_tol=1e-6) else rate / alone for rate, alone in pairs]


def _step(schedulers: list[_ParamScheduler], epochs: int, iters: int) -> None:
    """Steps schedulers through epochs and iterations as a training does."""
    by_epoch = [scheduler for scheduler in schedulers if scheduler.by_epoch]
    by_iter = [scheduler for scheduler in schedulers if not scheduler.by_epoch]
    steps = epochs * len(by_epoch) + iters * len(by_iter)
    if steps > MOST_STEPS:
        raise ValueError(
            f'the changed settings need {steps} steps to recompute the schedules, but {MOST_STEPS} are the most: '
            f'the checkpoint counts {epochs} epochs and {iters} iterations; resume it without changed settings, or use '
            'load_from instead of resume to start a new run from its weights'
        )
    length, rest = divmod(iters, max(epochs, 1))
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # PyTorch warns about schedulers that step before their optimizer
        for _ in range(max(epochs, 1)):
            _step_times(by_iter, length)
            _step_times(by_epoch, 1 if epochs else 0)
        _step_times(by_iter, rest)


def _step_times(schedulers: list[_ParamScheduler], times: int) -> None:
    for _ in range(times if schedulers else 0):
        for scheduler in schedulers:
            scheduler.step()


def _follows_results(scheduler: _ParamScheduler) -> bool:
    # MMEngine asks in the same way, because its base class does not declare it.
    return getattr(scheduler, 'need_val_args', False)


def _wrappers(runner: Runner) -> dict[str, OptimWrapper]:
    wrapper = runner.optim_wrapper
    return dict(wrapper.items()) if isinstance(wrapper, OptimWrapperDict) else {'': wrapper}


def _schedulers(runner: Runner, name: str) -> list[_ParamScheduler]:
    found = runner.param_schedulers or []
    return found.get(name, []) if isinstance(found, dict) else found
