# Copyright (c) mmreid contributors. All rights reserved.
"""A short training of one architecture, judged on identities that it was not trained on."""

import copy
import gc
import logging
import tempfile
import time
import uuid
from collections.abc import Mapping
from statistics import mean
from typing import Any

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.utils import import_modules_from_strings

from mmreid.registry import RUNNERS

ABSOLUTE = (
    'periods',
    'T_max',
    'T_0',
    'step_size',
    'total_iters',
    'total_steps',
    'last_step',
)  # other times of a schedule
TIMES = ('begin', 'end', 'milestones')
BY_STEP = ('Exponential',)  # begin of names of schedules whose factor is one of each step


def short_config(cfg: Config, norms: Mapping[str, str], epochs: int, fold: int) -> dict:
    """Makes the config of a short training from that of a search.

    Everything is as in the search's own config, which is that of the training it searches for: model, losses,
    optimizer, augmentation, weight averaging, seed. Schedules are shortened in proportion.

    Args:
        cfg (Config): Config of the search.
        norms (Mapping[str, str]): State of each norm.
        epochs (int): Length of the training.
        fold (int): The fold of identities that is held out.

    Returns:
        dict: The config, in plain data.

    Raises:
        ValueError: If a schedule cannot be shortened.
    """
    short = copy.deepcopy(cfg.to_dict())
    full_epochs = short['train_cfg']['max_epochs']
    short['model']['arch'] = dict(norms)
    for loader in ('train_dataloader', 'val_dataloader'):
        short[loader]['dataset']['fold'] = fold
        short[loader]['dataset']['dataset']['serialize_data'] = False  # saves a second for each training
    short['train_cfg'] = dict(type='EpochBasedTrainLoop', max_epochs=epochs, val_interval=epochs)
    short['param_scheduler'] = _shortened(short.get('param_scheduler'), full_epochs)
    short['test_dataloader'] = short['test_cfg'] = short['test_evaluator'] = None
    short['default_hooks'] = dict(short.get('default_hooks') or {}, checkpoint=None)
    short['custom_hooks'] = [hook for hook in short.get('custom_hooks') or () if hook['type'] != 'ProgressBarHook']
    short.update(launcher='none', load_from=start_of(cfg), resume=False, log_level='ERROR', visualizer=None)
    return short


def start_of(cfg: Mapping[str, Any]) -> str | None:
    """Returns the weights that a training of a config starts from, if they are those of ``load_from``."""
    return cfg.get('load_from_if_new') or (None if cfg.get('resume') else cfg.get('load_from'))


def train_and_judge(cfg: dict, device: int | None, folder: str) -> dict[str, Any]:
    """Trains as a config says, and judges the result on its validation set.

    Args:
        cfg (dict): See :func:`short_config`.
        device (int, optional): Number of the GPU. None trains on the CPU.
        folder (str): Where the training may write; it leaves nothing there.

    Returns:
        dict[str, Any]: ``score``, the mean mAP over the directions of retrieval, in percent; ``metrics``; ``seconds``.
    """
    if device is not None:
        torch.cuda.set_device(device)
    if cfg.get('custom_imports'):
        import_modules_from_strings(**cfg['custom_imports'])
    start, judged = time.perf_counter(), _LastMetrics()
    with tempfile.TemporaryDirectory(dir=folder, prefix='short_training-') as work_dir:
        cfg = _PlainConfig(dict(cfg, work_dir=work_dir, experiment_name=uuid.uuid4().hex))
        runner = RUNNERS.get(cfg.get('runner_type', 'ReIDRunner')).from_cfg(cfg)
        runner.register_hook(judged)
        runner.train()
        for handler in list(runner.logger.handlers):
            if isinstance(handler, logging.FileHandler):
                handler.close()
                runner.logger.removeHandler(handler)  # MMEngine keeps the logger, and would write to it
    del runner
    gc.collect()  # its parts refer to each other, and the next training needs the memory
    score = mean(value for name, value in judged.metrics.items() if name.endswith('/mAP'))
    return dict(score=score, metrics=judged.metrics, seconds=round(time.perf_counter() - start, 1))


class _PlainConfig(Config):
    """A config that is not laid out when it is logged, which takes seconds."""

    @property
    def pretty_text(self) -> str:
        return f'{self.to_dict()}\n'


class _LastMetrics(Hook):
    """Keeps what the last validation found."""

    metrics: dict[str, float] = {}

    def after_val_epoch(self, runner, metrics: dict[str, float] | None = None) -> None:
        self.metrics = {name: float(value) for name, value in (metrics or {}).items()}


def _shortened(schedule: Any, full_epochs: int) -> Any:
    """Writes the times of a schedule as fractions of a run, counted in iterations."""
    if isinstance(schedule, dict) and 'type' not in schedule:
        return {name: _shortened(entry, full_epochs) for name, entry in schedule.items()}
    if isinstance(schedule, (list, tuple)):
        return [_shortened(entry, full_epochs) for entry in schedule]
    if schedule is None:
        return None
    absolute = [key for key in ABSOLUTE if schedule.get(key) is not None]
    if schedule['type'].rpartition('.')[2].startswith(BY_STEP):
        absolute.append('gamma')
    by_epoch = schedule.get('by_epoch', True)
    whole = [key for key in TIMES if _has_whole(schedule.get(key))]
    if absolute or (whole and not by_epoch):
        key = (absolute or whole)[0]
        raise ValueError(
            f'{key}={schedule.get(key)} of {schedule["type"]} cannot be shortened with the trainings of a search; give '
            'begin, end and milestones in epochs, or as fractions of the training'
        )
    times = {key: _fraction(schedule[key], full_epochs) for key in TIMES if schedule.get(key) is not None}
    rest = {key: value for key, value in schedule.items() if key != 'convert_to_iter_based'}
    return dict(rest, **times, by_epoch=False)


def _fraction(value: Any, full_epochs: int) -> Any:
    if isinstance(value, (list, tuple)):
        return [_fraction(each, full_epochs) for each in value]
    if isinstance(value, float) or value == 0:
        return value
    if value > full_epochs:
        raise ValueError(
            f'the schedule reaches to epoch {value}, but the training to search for has max_epochs={full_epochs}; '
            'shorten param_scheduler, or give its times as fractions of the training'
        )
    return value / full_epochs


def _has_whole(value: Any) -> bool:
    values = value if isinstance(value, (list, tuple)) else [value]
    return any(isinstance(each, int) and each != 0 for each in values)
