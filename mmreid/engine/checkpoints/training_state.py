# Copyright (c) mmreid contributors. All rights reserved.
"""Accepts from an untrusted checkpoint only the training state that this run would save itself."""

import math
import reprlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.optim.scheduler.param_scheduler import _ParamScheduler
from mmengine.runner import Runner
from torch import Tensor

from mmreid.utils.checkpoint import CheckpointError
from mmreid.utils.unwrap_model import unwrap_model

CODE = 'config'  # the key of `meta` that MMEngine runs as Python when a run is resumed; it writes none
MOST = 10**9  # largest count, such as of iterations
MOST_EPOCHS, MOST_BATCHES = 2 * 10**6, 10**6  # of a run, of an epoch
SLACK = 1000  # steps that a schedule may be ahead of the run, e.g. by repeated validations
LARGEST = 2**40  # of other numbers
_NUMBER, _COUNT, _TEXT, _DICT = 'a number', 'a count', 'a text', 'a dict'
# Kinds of the entries of `message_hub.runtime_info` that MMEngine's hooks and loops read.
_INFO = dict(epoch=_COUNT, iter=_COUNT, max_epochs=_COUNT, max_iters=_COUNT, loop_stage=_TEXT)
_WHOLE = (torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8)
_MOMENTS = ('exp_avg', 'exp_avg_sq', 'max_exp_avg_sq', 'momentum_buffer', 'square_avg', 'grad_avg', 'sum')


class _Unfit(Exception):
    """Content of a checkpoint that is not of the expected kind."""


def plain_training_state(checkpoint: dict, runner: Runner, path: str) -> dict:
    """Returns a checkpoint with only what has the kinds of what this run would save itself.

    The text of a config, which MMEngine would run, is dropped; log histories are rebuilt from their numbers.

    Args:
        checkpoint (dict): What the file holds.
        runner (Runner): The run that resumes, with optimizers and schedules.
        path (str): The file, for messages.

    Raises:
        CheckpointError: If something is missing or of another kind, naming it.
    """
    try:
        _check_optimizers(checkpoint, runner)
        meta, hub = _meta(checkpoint.get('meta')), _message_hub(checkpoint.get('message_hub'))
        _check_schedules(checkpoint, runner, meta)
        _check_average(checkpoint, runner)
    except _Unfit as unfit:
        raise CheckpointError(
            f'{path} cannot be resumed: {unfit}; resume from a checkpoint of this config, or use load_from instead'
        ) from unfit
    return dict(checkpoint, meta=meta, message_hub=hub)


def _meta(meta: Any) -> dict:
    _expect(meta, _DICT, 'meta')
    for key in ('epoch', 'iter'):
        _expect(meta.get(key), _COUNT, f'meta.{key}')
    if meta['epoch'] > min(MOST_EPOCHS, meta['iter']):
        raise _Unfit(
            f'meta.epoch is {meta["epoch"]}, but must be at most {MOST_EPOCHS} and at most meta.iter={meta["iter"]}'
        )
    if meta.get('seed') is not None:
        _expect(meta['seed'], _COUNT, 'meta.seed')
        if meta['seed'] >= 2**32:
            raise _Unfit(f'meta.seed is {meta["seed"]}, but must be below 2**32')
    return {key: value for key, value in meta.items() if key != CODE}


def _message_hub(hub: Any) -> dict:
    _expect(hub, _DICT, 'message_hub')
    for key in ('log_scalars', 'runtime_info', 'resumed_keys'):
        _expect(hub.get(key), _DICT, f'message_hub.{key}')
        for name in hub[key]:
            _expect(name, _TEXT, f'a name in message_hub.{key}')
    for name, value in hub['runtime_info'].items():
        if name in _INFO:
            _expect(value, _INFO[name], f'message_hub.runtime_info.{name}')
    for name, value in hub['resumed_keys'].items():
        if not isinstance(value, bool):
            raise _Unfit(f'message_hub.resumed_keys.{name} is {_short(value)}, but must be True or False')
    scalars = {name: _history(value, name) for name, value in hub['log_scalars'].items()}
    return dict(hub, log_scalars=scalars)


def _history(value: Any, name: str) -> HistoryBuffer:
    """Makes a history from another's numbers, without its functions."""
    entries = vars(value) if type(value) is HistoryBuffer else {}
    parts = [entries[key] for key in ('_log_history', '_count_history') if key in entries]
    fits = len(parts) == 2 and all(
        isinstance(part, np.ndarray) and part.ndim == 1 and part.dtype.kind in 'biuf' and len(part) == len(parts[0])
        for part in parts
    )
    length = entries.get('max_length')
    if not fits or type(length) is not int or not len(parts[0]) <= length:
        raise _Unfit(f'message_hub.log_scalars.{name} is not a history of numbers')
    return HistoryBuffer(*parts, length)


def _check_optimizers(checkpoint: dict, runner: Runner) -> None:
    found, wrapper = checkpoint.get('optimizer'), runner.optim_wrapper
    _expect(found, _DICT, 'optimizer')
    if isinstance(wrapper, OptimWrapperDict):
        _same_names(wrapper.optim_wrappers, found, 'optimizer')
        for name, part in wrapper.optim_wrappers.items():
            _check_optimizer(found[name], part, f'optimizer.{name}')
    elif isinstance(wrapper, OptimWrapper):  # built by now
        _check_optimizer(found, wrapper, 'optimizer')


def _check_optimizer(found: Any, wrapper: OptimWrapper, place: str) -> None:
    _expect(found, _DICT, place)
    own = wrapper.state_dict()
    groups, state = found.get('param_groups'), found.get('state')
    if not isinstance(groups, list) or len(groups) != len(own['param_groups']):
        raise _Unfit(f'{place}.param_groups is not a list of {len(own["param_groups"])} groups, but {_short(groups)}')
    params = {}
    for number, (group, mine) in enumerate(zip(groups, own['param_groups'], strict=True)):
        _same_kind(mine, group, f'{place}.param_groups[{number}]')
        if len(group.get('params') or ()) != len(mine['params']):
            raise _Unfit(f'{place}.param_groups[{number}].params does not have {len(mine["params"])} entries')
        params.update(zip(group['params'], wrapper.optimizer.param_groups[number]['params'], strict=True))
    _expect(state, _DICT, f'{place}.state')
    for key, entries in state.items():
        _expect(entries, _DICT, f'{place}.state[{_short(key)}]')
        shape = params[key].shape if isinstance(key, int) and key in params else None
        for name, value in entries.items():
            numeric = isinstance(value, (int, float, Tensor, type(None))) and not isinstance(value, bool)
            moment = isinstance(value, Tensor) and value.shape == shape and value.is_floating_point()
            absent = value is None and name == 'momentum_buffer'  # of SGD before its first step
            if not numeric or (name in _MOMENTS and not moment and not absent):
                raise _Unfit(f'{place}.state[{_short(key)}].{_short(name)} is {_short(value)}')
            if name == 'step':
                _expect(value.item() if isinstance(value, Tensor) and value.numel() == 1 else value, _NUMBER, 'step')
    if 'loss_scaler' in own and 'loss_scaler' in found:
        _same_kind(own['loss_scaler'], found['loss_scaler'], f'{place}.loss_scaler')
    if 'base_param_settings' in own:
        _expect(found.get('base_param_settings', {}), _DICT, f'{place}.base_param_settings')


def _check_average(checkpoint: dict, runner: Runner) -> None:
    """Compares averaged weights (EMA) with the model."""
    found = checkpoint.get('ema_state_dict')
    if 'ema_state_dict' not in checkpoint:
        return
    _expect(found, _DICT, 'ema_state_dict')
    model = unwrap_model(runner.model)
    own = {f'module.{key}': value.shape for key, value in model.state_dict().items()}
    for key in [*own, *found]:
        value = found.get(key)
        known = isinstance(key, str) and (key in own or not key.startswith('module.'))
        if not known or not isinstance(value, Tensor) or own.get(key, value.shape) != value.shape:
            raise _Unfit(f'ema_state_dict has {_short(value)} as {_short(key)}')
    steps = found.get('steps', torch.tensor(0))
    if steps.shape or steps.dtype not in _WHOLE or not 0 <= steps < MOST:
        raise _Unfit(f'ema_state_dict.steps is {steps!r:.100}, but must be a count')
    # The averaged and the trained weights are swapped by name.
    missing = [key for key in own if key.removeprefix('module.') not in (checkpoint.get('state_dict') or {})]
    if missing:
        raise _Unfit(f'state_dict lacks {missing[0].removeprefix("module.")}, which ema_state_dict has')


def _check_schedules(checkpoint: dict, runner: Runner, meta: dict) -> None:
    own, found = runner.param_schedulers, checkpoint.get('param_schedulers')
    if not own or 'param_schedulers' not in checkpoint:
        return
    if isinstance(own, dict):
        _expect(found, _DICT, 'param_schedulers')
        _same_names(own, found, 'param_schedulers')
    pairs = [(f'.{key}', own[key], found[key]) for key in own] if isinstance(own, dict) else [('', own, found)]
    for name, mine, theirs in pairs:
        if not isinstance(theirs, list) or not all(isinstance(state, dict) for state in theirs):
            raise _Unfit(f'param_schedulers{name} is {_short(theirs)}, but must be a list of dicts')
        for number, (scheduler, state) in enumerate(zip(mine, theirs, strict=False)):
            if isinstance(scheduler, _ParamScheduler):  # built by now
                fresh, place = scheduler.state_dict(), f'param_schedulers{name}[{number}]'
                # The entries become attributes, and must not replace a method.
                methods = [key for key in state if key == 'optimizer' or hasattr(type(scheduler), str(key))]
                if methods:
                    raise _Unfit(f'{place} has {_short(methods[0])}, which is not a number of its schedule')
                _same_kind(fresh, state, place)
                _check_steps(state, scheduler.by_epoch, meta, place)
                setting = state.get('param_name', scheduler.param_name)
                if setting not in scheduler.optimizer.param_groups[0]:
                    raise _Unfit(f'{place}.param_name is {_short(setting)}, a setting that the optimizer does not have')


def _check_steps(state: dict, by_epoch: bool, meta: dict, place: str) -> None:
    """Compares the steps of a schedule with the run, which may have had longer epochs earlier."""
    most = meta['iter'] if by_epoch else max(meta['iter'], meta['epoch'] * MOST_BATCHES)
    most = min(most + SLACK, MOST)
    for key in ('last_step', '_global_step'):
        steps = state.get(key, 0)
        if type(steps) is not int or not -1 <= steps <= most:
            raise _Unfit(
                f'{place}.{key} is {_short(steps)}, but must be a whole number of at most {most} after '
                f'{meta["epoch"]} epochs and {meta["iter"]} iterations'
            )


def _same_names(own: Mapping, found: Mapping, place: str) -> None:
    if set(own) != set(found):
        raise _Unfit(f'{place} has {_short(sorted(map(str, found)))}, but this run {_short(sorted(map(str, own)))}')


def _same_kind(own: Any, found: Any, place: str) -> None:
    """Compares kinds, not values: numbers with numbers, lists with lists of the same."""
    if own is None:
        fits = isinstance(found, (int, float, str, type(None)))
    elif isinstance(own, bool):
        fits = isinstance(found, bool)
    elif isinstance(own, (int, float)):
        is_number = isinstance(found, (int, float)) and not isinstance(found, bool)
        fits = is_number and (found == own or abs(found) < LARGEST)  # a best value begins at infinity
    elif isinstance(own, (list, tuple)):
        fits = isinstance(found, (list, tuple))
        for number, value in enumerate(found if fits and len(own) else ()):
            _same_kind(own[0], value, f'{place}[{number}]')
    elif isinstance(own, Mapping):
        fits = isinstance(found, Mapping)
        for key in own if fits else ():
            if key in found:
                _same_kind(own[key], found[key], f'{place}.{key}')
    elif isinstance(own, Tensor):
        fits = isinstance(found, Tensor) and found.shape == own.shape and found.dtype == own.dtype
    else:
        fits = type(found) is type(own)
    if not fits:
        raise _Unfit(f'{place} is {_short(found)}, where this run has {_short(own)}')


def _expect(value: Any, kind: str, place: str) -> None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    fits = {
        _DICT: isinstance(value, dict),
        _TEXT: isinstance(value, str),
        _COUNT: is_number and isinstance(value, int) and 0 <= value < MOST,
        _NUMBER: is_number and (isinstance(value, float) or abs(value) < LARGEST) and math.isfinite(value),
    }
    if not fits[kind]:
        raise _Unfit(f'{place} is {_short(value)}, but must be {kind}')


def _short(value: Any) -> str:
    return f'a tensor {tuple(value.shape)}' if isinstance(value, Tensor) else reprlib.repr(value)
