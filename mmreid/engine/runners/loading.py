# Copyright (c) mmreid contributors. All rights reserved.
"""How a runner loads weights, and what it says where they do not fit.

What must fit depends on the purpose: everything to resume; everything that features are made of to test; half of the
backbone to start training from. ``allow_partial=True`` in the config lifts the last two.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError

import torch
from mmengine.model import BaseModule
from mmengine.runner import Runner
from torch import nn

from mmreid.engine.checkpoints.resume_checks import notice_changes, warn_of_changes
from mmreid.engine.checkpoints.resume_schedule import fit_optimizer_state
from mmreid.engine.checkpoints.training_state import plain_training_state
from mmreid.utils.checkpoint import CheckpointError
from mmreid.utils.load_report import LoadReport, backbone_fraction, fit_checkpoint, load_weights
from mmreid.utils.unwrap_model import unwrap_model
from mmreid.utils.weight_sources import pretrained_of


def load_to_resume(runner: Runner, checkpoint: dict, filename: str, trained_with: dict) -> tuple[dict, dict]:
    """Loads the weights of a checkpoint that a run resumes from; all of them must fit.

    Args:
        runner (ReIDRunner): The runner, with optimizers and schedules.
        checkpoint (dict): What the file holds.
        filename (str): The file, for messages.
        trained_with (dict): What this run is trained with, see :func:`describe_run`.

    Returns:
        tuple[dict, dict]: The checkpoint without anything that this run would not save itself, and the settings that
        have changed since.
    """
    model = unwrap_model(runner.model)
    changes = notice_changes(runner, runner.loaded_meta, trained_with, filename)
    try:
        fit_optimizer_state(runner, checkpoint, changes, filename)
        checkpoint = plain_training_state(checkpoint, runner, filename)
    except (ValueError, CheckpointError):
        require_exact(load_weights(model, checkpoint), filename)  # if the model differs, that says more
        raise
    runner.call_hook('after_load_checkpoint', checkpoint=checkpoint)
    report = load_weights(model, checkpoint)
    require_exact(report, filename)
    warn_of_changes(runner, changes, trained_with)
    runner.logger.info(f'resumed {filename}: {report}')
    return checkpoint, changes


def load_to_use(runner: Runner, checkpoint: dict, filename: str, strict: bool, testing: bool) -> None:
    """Loads the weights of a checkpoint to test them, or to start a training from them.

    Args:
        runner (ReIDRunner): The runner.
        checkpoint (dict): What the file holds.
        filename (str): The file, for messages.
        strict (bool): Fail unless all keys and shapes fit.
        testing (bool): Fail unless everything that features are made of fits.

    Raises:
        ValueError: If less fits than must.
    """
    model = unwrap_model(runner.model)
    report = load_weights(model, checkpoint)
    # Hooks that keep a second set of weights (EMA) must get what fits the model, not what the file holds, and may
    # exchange the two.
    fitted = fit_checkpoint(checkpoint, model.state_dict(), filename)
    runner.call_hook('after_load_checkpoint', checkpoint=fitted)
    model.load_state_dict(fitted['state_dict'])
    if strict:
        require_exact(report, filename)
    if not runner.cfg.get('allow_partial', False):
        _require_enough(report, model, filename, testing)
    note = ' (another classifier is normal when fine-tuning)' if report.reshaped and report.is_complete else ''
    runner.logger.info(f'loaded {filename}: {report}{note}')


def require_exact(report: LoadReport, filename: str) -> None:
    """Raises a ValueError unless file and model have the same keys and shapes."""
    if not report.is_exact:
        raise ValueError(
            f'{filename} does not fit the model, so the run cannot be continued: {report}; use the config it was '
            'made with, or load_from instead of resume to start a new run from its weights'
        )


def _require_enough(report: LoadReport, model: nn.Module, filename: str, testing: bool) -> None:
    if testing and not report.is_complete:
        raise ValueError(
            f'{filename} does not fill the model that is to be tested: {report}; use the config it was trained '
            'with, or accept it with --cfg-options allow_partial=True'
        )
    fraction = backbone_fraction(report, model)
    if fraction < 0.5:
        raise ValueError(
            f'only {fraction:.0%} of the backbone is in {filename} ({report}); it belongs to another model: convert '
            'its keys, or accept it with --cfg-options allow_partial=True'
        )


def forget_pretrained(model: nn.Module) -> None:
    """Keeps a model from fetching pretrained weights, where a checkpoint fills every weight anyway."""
    for module in model.modules():
        if isinstance(module, BaseModule) and pretrained_of(dict(init_cfg=module.init_cfg)):
            module.init_cfg = None


@contextmanager
def missing_weights_explained(model_cfg: dict) -> Iterator[None]:
    """Raises a RuntimeError that says what to do where pretrained weights of a model config cannot be fetched."""
    try:
        yield
    except (URLError, KeyError, OSError) as error:
        wanted = pretrained_of(model_cfg)
        # Whatever else a module may raise while it initializes itself is not ours to explain.
        if not isinstance(error, URLError) and not any(Path(name).name in str(error) for name in wanted):
            raise
        folder = Path(torch.hub.get_dir()) / 'checkpoints'
        raise RuntimeError(
            f'the pretrained weights {", ".join(wanted)} could not be loaded ({type(error).__name__}: {error}); '
            f'put the file into {folder} under its published name, or give its path with '
            '--cfg-options model.backbone.init_cfg.checkpoint=FILE, or train from scratch with '
            '--cfg-options model.backbone.init_cfg=None'
        ) from error


def start_new(runner: Runner) -> None:
    """Begins a run where there is nothing to resume; warns if there are checkpoints that cannot be used."""
    level = logging.WARNING if any(Path(runner.work_dir).glob('*.pth')) else logging.INFO
    begin = runner.cfg.get('load_from_if_new')
    runner.logger.log(
        level,
        f'nothing to resume in {runner.work_dir} yet: the training starts '
        + (f'from {begin}' if begin else 'from the beginning'),
    )
    if begin:
        runner.load_checkpoint(begin)


def build_to_resume(runner: Runner) -> None:
    """Builds the loop, the optimizers and the schedules of a runner that resumes before it trains."""
    _ = runner.train_loop  # schedules end with it, so it is built first
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    if runner.param_schedulers is not None:
        runner.param_schedulers = runner.build_param_scheduler(runner.param_schedulers)


def warn_if_done(runner: Runner, filename: str) -> None:
    """Warns where a resumed run has nothing left to train."""
    if runner.epoch >= (runner.max_epochs or float('inf')):
        runner.logger.warning(
            f'{filename} has been trained to epoch {runner.epoch} of {runner.max_epochs}, so there is nothing to do; '
            'raise train_cfg.max_epochs to go on'
        )
