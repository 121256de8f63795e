# Copyright (c) mmreid contributors. All rights reserved.
"""MMEngine's runner, made safe for re-ID: CPU ranks, class counts from the data, loading that reports."""

import copy
import logging
import os.path as osp
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from mmengine.dist import broadcast_object_list, is_distributed, is_main_process
from mmengine.logging import MMLogger
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import BaseLoop, Runner
from torch import nn
from torch.utils.data import DataLoader

from mmreid.engine.checkpoints.inference_meta import inference_meta
from mmreid.engine.checkpoints.memory_shards import damaged_shard
from mmreid.engine.checkpoints.resume_checks import notice_changes, warn_of_changes
from mmreid.engine.checkpoints.resume_schedule import (
    apply_changes,
    fit_optimizer_state,
    keep_initial_rates,
    state_at_start,
)
from mmreid.engine.checkpoints.run_description import KEY, describe_run, note_seed
from mmreid.engine.checkpoints.training_state import plain_training_state
from mmreid.engine.checks.hook_configs import check_custom_hooks, check_default_hooks
from mmreid.engine.checks.schedule_end import late_end
from mmreid.engine.hooks.safe_checkpoint_hook import SafeCheckpointHook
from mmreid.registry import RUNNERS
from mmreid.utils.arch_io import STATES
from mmreid.utils.checkpoint import CheckpointError, find_resumable_checkpoint, load_checkpoint_file
from mmreid.utils.current_run import CurrentRun, new_run_id, read_current_run, write_current_run
from mmreid.utils.load_report import LoadReport, backbone_share, fit_checkpoint, load_weights
from mmreid.utils.run_lock import FolderInUseError, keeps_own_folders, run_lock
from mmreid.utils.weight_sources import pretrained_of  # importing it also replaces MMEngine's loaders

from .channels_last import to_channels_last
from .console import quiet_warnings, set_console
from .schedule_fractions import resolve_fractions


@RUNNERS.register_module()
class ReIDRunner(Runner):
    """The runner of all mmreid configs (``runner_type='ReIDRunner'`` in ``default_runtime.py``).

    Beyond MMEngine's :class:`~mmengine.runner.Runner`:

    - ``--launcher pytorch`` works without a GPU (gloo ranks);
    - one training at a time works in a work dir and an ``out_dir`` of checkpoints, a second is refused;
    - ``model.head.num_classes=None`` is filled in from the training data;
    - workers are seeded per epoch, ``persistent_workers`` is left out where torch would refuse it;
    - ``load_from`` and ``resume`` report what was loaded, missing and skipped, and fail when hardly anything fits;
    - ``resume`` takes the newest complete checkpoint of the work directory's current run, names those it passed over,
      and knows checkpoints by the id of their run (``meta['run_id']``), not by any clock;
    - ``resume`` refuses other training data, warns of each setting that has changed, and lets it take effect;
    - weights that cannot be fetched are explained;
    - a schedule may be given in fractions of the training; one that is longer than it is warned of;
    - the console stays readable (``console = 'quiet'``), the log file has everything;
    - ``channels_last = True`` in the config lets convolutions work in that layout;
    - testing does not need the training data, and without a checkpoint tests the initial weights.
    """

    _missing_data: FileNotFoundError | None = None
    _resuming = False
    _only_testing = False
    _initialized = False  # whether the weights have been initialized
    loaded_meta: dict = {}  # ``meta`` of the checkpoint that was loaded
    current_run: CurrentRun | None = None  # set when a training begins
    _newest: str | None = None  # checkpoint of the current run
    validation_saved = False  # whether what is resumed was saved after its validation
    validated_iter = -1  # the iteration after which the last validation ran
    _trained_with: dict | None = None  # what the checkpoints of this run say about it
    _inference: dict | None = None  # what the checkpoints of this run say about using the model
    _changes: dict = {}  # what has changed since the checkpoint that is resumed

    def setup_env(self, env_cfg: dict) -> None:
        """Starts gloo where there is no GPU, as MMEngine would ask CUDA for a device; quiets warnings."""
        if self.distributed and not is_distributed() and not torch.cuda.is_available():
            if self.launcher != 'pytorch':
                raise RuntimeError(f"launcher='{self.launcher}' needs a GPU; on the CPU start with tools/dist_train.sh")
            torch.distributed.init_process_group('gloo', **_timeout(env_cfg))
        super().setup_env(env_cfg)
        quiet_warnings()

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """Builds the logger; ``console`` of the config says how much of the log is shown."""
        logger = super().build_logger(*args, **kwargs)
        set_console(logger, self.cfg.get('console', 'quiet'))
        return logger

    def _log_env(self, env_cfg: dict) -> None:
        """Logs environment and config, then where they are found."""
        super()._log_env(env_cfg)
        where = torch.cuda.get_device_name() if torch.cuda.is_available() else 'the CPU'
        processes = f'{self.world_size} processes' if self.world_size > 1 else 'one process'
        self.logger.info(f'{processes} on {where} | seed {self.seed} | environment and config: {self.logger.log_file}')

    def set_randomness(self, seed: int | None, *args: Any, **kwargs: Any) -> None:
        """Sets the seed of all random numbers, which must be one that NumPy takes."""
        if seed is not None and (not isinstance(seed, int) or not 0 <= seed < 2**32):
            raise ValueError(f'randomness.seed={seed!r} must be a whole number from 0 to {2**32 - 1}, or None')
        super().set_randomness(seed, *args, **kwargs)

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        """Lays the model out channels last, if the config says so; leaves device ids out where ranks share the CPU."""
        channels_last = self.cfg.get('channels_last', False)
        if not isinstance(channels_last, bool):
            raise TypeError(f'channels_last={channels_last!r} of the config must be True or False')
        if channels_last and not is_model_wrapper(model):
            to_channels_last(model)
        if self.distributed and not torch.cuda.is_available() and not is_model_wrapper(model):
            defaults = dict(
                type='MMDistributedDataParallel',
                broadcast_buffers=False,
                find_unused_parameters=self.cfg.get('find_unused_parameters', False),
            )
            model_wrapper_cfg = {**defaults, **(model_wrapper_cfg or {}), 'device_ids': None}
        return super().wrap_model(model_wrapper_cfg, model)

    def register_hooks(self, default_hooks: dict | None = None, custom_hooks: list | None = None) -> None:
        """Checks the entries of both sections, then registers them."""
        check_default_hooks(default_hooks or {})
        check_custom_hooks(custom_hooks)
        super().register_hooks(default_hooks, custom_hooks)

    def build_param_scheduler(self, scheduler: Any) -> Any:
        """Builds the schedules for the length of the training, and warns of one that it does not reach the end of."""
        if not isinstance(self._train_loop, BaseLoop):
            return super().build_param_scheduler(scheduler)
        scheduler = resolve_fractions(scheduler, self._train_loop)
        built = super().build_param_scheduler(scheduler)
        late = late_end(scheduler, self.max_epochs or 1, self.max_iters)
        if late:
            self.logger.warning(late)
        return built

    @staticmethod
    def build_dataloader(
        dataloader: DataLoader | dict, seed: int | None = None, diff_rank_seed: bool = False
    ) -> DataLoader:
        """Builds a dataloader with workers that differ from epoch to epoch."""
        if isinstance(dataloader, dict):
            dataloader = copy.copy(dataloader)
            dataloader.setdefault('worker_init_fn', dict(type='epoch_worker_init_fn'))
            dataloader.setdefault('collate_fn', dict(type='reid_collate'))
            if 'batch_sampler' in dataloader and 'num_batch_per_epoch' in dataloader:
                raise ValueError(
                    'num_batch_per_epoch has no effect beside a batch sampler; set batches_per_epoch of the sampler '
                    "instead: sampler=dict(type='RandomIdentitySampler', batches_per_epoch=...)"
                )
            if not dataloader.get('num_workers'):
                dataloader.pop('persistent_workers', None)
                dataloader.pop('prefetch_factor', None)
        return Runner.build_dataloader(dataloader, seed=seed, diff_rank_seed=diff_rank_seed)

    def build_model(self, model: nn.Module | dict) -> nn.Module:
        """Builds the model for the identities that the training data has; an architecture file goes into the config."""
        head = model.get('head') if isinstance(model, dict) else None
        if head is not None and self._train_dataloader is not None:
            found, given = self._count_classes(), head.get('num_classes')
            if given is None:
                head['num_classes'] = found or None
            elif given < found:
                raise ValueError(
                    f'model.head.num_classes={given}, but the training data has {found} identities; leave num_classes '
                    'out, it is counted in the data'
                )
        built = super().build_model(model)
        arch = model.get('arch') if isinstance(model, dict) else None
        if isinstance(arch, str) and arch not in STATES and getattr(built, 'arch', None):
            # Checkpoints hold the config, and must not need the file.
            self.cfg.merge_from_dict(dict(model=dict(arch=dict(built.arch, _delete_=True))))
        return built

    def _count_classes(self) -> int:
        """Builds the training data, unless it is not there, which is fine for testing."""
        try:
            self._train_dataloader = self.build_dataloader(
                self._train_dataloader,
                seed=self.seed,
                diff_rank_seed=self._randomness_cfg.get('diff_rank_seed', False),
            )
        except FileNotFoundError as error:
            self._missing_data = error
            return 0
        return getattr(self._train_dataloader.dataset, 'num_classes', 0)

    def dump_config(self) -> None:
        """Writes the config into the work dir, but leaves that of a training which is running there."""
        if is_main_process():
            with suppress(FolderInUseError), run_lock(self.work_dir):
                super().dump_config()

    def own_folders(self) -> list[str]:
        """Lists the local folders that a training writes checkpoints to, which no other training may use meanwhile."""
        folders = (hook.local_folder(self) for hook in self.hooks if isinstance(hook, SafeCheckpointHook))
        return [self.work_dir, *filter(None, folders)]

    @keeps_own_folders
    def train(self) -> nn.Module:
        """Trains; see :meth:`mmengine.runner.Runner.train`."""
        if self._missing_data is not None:
            raise self._missing_data
        if self._resume and self._load_from is None:
            self._load_from = _of_first_rank(self.newest_checkpoint)
        if self._resume and self._load_from is not None:
            # What is resumed fills every weight, so no pretrained ones need be fetched.
            for module in self.model.modules():
                if getattr(module, 'init_cfg', None) and pretrained_of(dict(init_cfg=module.init_cfg)):
                    module.init_cfg = None
        model = super().train()
        self._write_current_run(replace(self.current_run, finished=True))
        return model

    def val(self) -> dict:
        """Validates, the initial weights where none are loaded; see :meth:`mmengine.runner.Runner.val`."""
        self._prepare_weights()
        return super().val()

    def test(self) -> dict:
        """Tests, the initial weights where none are loaded; see :meth:`mmengine.runner.Runner.test`."""
        self._prepare_weights()
        return super().test()

    def _prepare_weights(self) -> None:
        self._only_testing = not self._has_loaded
        if not self._has_loaded and self._load_from is None and not self._initialized:
            self._init_model_weights()

    def _init_model_weights(self) -> None:
        self._initialized = True
        try:
            super()._init_model_weights()
        except (URLError, KeyError, OSError) as error:
            wanted = pretrained_of(self.cfg.get('model', {}))
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

    def load_or_resume(self) -> None:
        """Resumes or loads as the config says; ``resume`` without a file takes the newest complete checkpoint."""
        training = isinstance(self._train_loop, BaseLoop)
        if not self._has_loaded:
            if training:
                keep_initial_rates(self)
                self._description()
            if self._resume and self._load_from is None:
                # Nothing there is what a first run finds; checkpoints that cannot be used are another matter.
                level = logging.WARNING if any(Path(self.work_dir).glob('*.pth')) else logging.INFO
                begin = self.cfg.get('load_from_if_new')
                self.logger.log(
                    level,
                    f'nothing to resume in {self.work_dir} yet: the training starts '
                    + (f'from {begin}' if begin else 'from the beginning'),
                )
                if begin:
                    self.load_checkpoint(begin)
            elif self._resume:
                self.resume(str(self._load_from))
            elif self._load_from is not None:
                self.load_checkpoint(self._load_from)
            self._has_loaded = True
        if training and self.current_run is None:
            # One rank looks, as what it writes is what the others would read.
            self._write_current_run(_of_first_rank(lambda: self._continued_run() or CurrentRun(new_run_id())))

    def _continued_run(self) -> CurrentRun | None:
        """Tells the run that this training goes on with; one that goes back to an earlier checkpoint is another run."""
        if not self._resume or self._load_from is None:
            return None
        path, current = str(self._load_from), read_current_run(self.work_dir)
        run_id = str(self.loaded_meta.get('run_id', ''))
        if run_id and (current is None or current.id == run_id) and self._is_newest(path):
            finished = current is not None and current.finished and self.iter >= self.max_iters
            return CurrentRun(run_id, current.began_from if current else '', finished)
        return CurrentRun(new_run_id(), began_from=path if '://' in path else osp.abspath(path))

    def newest_checkpoint(self) -> str | None:
        """Finds the checkpoint that ``resume`` goes on from; None if there is none."""
        self._newest = find_resumable_checkpoint(self.work_dir, damaged_shard)
        return self._newest

    def _is_newest(self, path: str) -> bool:
        newest = self._newest or self.newest_checkpoint()  # looked for already unless --resume named a file
        return newest is not None and osp.realpath(newest) == osp.realpath(path)

    def _write_current_run(self, run: CurrentRun) -> None:
        self.current_run = run
        if is_main_process():
            write_current_run(self.work_dir, run)

    def save_checkpoint(self, *args: Any, meta: dict | None = None, **kwargs: Any) -> None:
        """Saves a checkpoint that knows its run; see :meth:`mmengine.runner.Runner.save_checkpoint`."""
        if self._inference is None:
            model = self.model.module if is_model_wrapper(self.model) else self.model
            self._inference = inference_meta(self.cfg, model)
        known = dict(self._inference, run_id=self.current_run.id, validated=self.validated_iter == self.iter)
        super().save_checkpoint(*args, meta={**(meta or {}), **known, KEY: self._description()}, **kwargs)

    def resume(self, filename: str, *args: Any, **kwargs: Any) -> None:
        """Continues a run exactly: weights, optimizer, schedules, epoch and logs; with what the config has changed."""
        self._resuming = True
        if not isinstance(self.optim_wrapper, OptimWrapper):  # called from outside, before train()
            _ = self.train_loop  # schedulers end with it, so it is built first
            self.optim_wrapper = self.build_optim_wrapper(self.optim_wrapper)
            if self.param_schedulers is not None:
                self.param_schedulers = self.build_param_scheduler(self.param_schedulers)
        start = state_at_start(self)
        try:
            super().resume(filename, *args, **kwargs)
        finally:
            self._resuming = False
        if self._changes:
            apply_changes(self, start, self._changes)
        note_seed(self, self._description())
        if self.epoch >= (self.max_epochs or float('inf')):
            self.logger.warning(
                f'{filename} has been trained to epoch {self.epoch} of {self.max_epochs}, so there is nothing to do; '
                'raise train_cfg.max_epochs to go on'
            )
        # The training data was built with the seed of this config; the run goes on with its own.
        batch_sampler = self.train_dataloader.batch_sampler
        for sampler in (self.train_dataloader.sampler, getattr(batch_sampler, 'sampler', None)):
            if hasattr(sampler, 'seed'):
                sampler.seed = self.seed

    def _description(self) -> dict:
        if self._trained_with is None:
            self._trained_with = describe_run(self)
        return self._trained_with

    def load_checkpoint(self, filename: str, map_location: Any = 'cpu', strict: bool = False, **_: Any) -> dict:
        """Loads weights and reports what was loaded, missing and skipped.

        What must fit depends on the purpose: everything to resume; everything that features are made of to test; half
        of the backbone to start training from. ``allow_partial=True`` in the config lifts the last two.

        Args:
            filename (str): The checkpoint.
            map_location (Any): See :func:`torch.load`. Defaults to 'cpu'.
            strict (bool): Fail unless all keys and shapes fit. Defaults to False.

        Returns:
            dict: The checkpoint.

        Raises:
            ValueError: If less fits than must.
        """
        checkpoint = load_checkpoint_file(filename, map_location=map_location)
        self.loaded_meta = checkpoint.get('meta') or {}
        self.validation_saved = self.loaded_meta.get('validated') is True
        model = self.model.module if is_model_wrapper(self.model) else self.model
        resuming = self._resuming
        if resuming:
            self._changes = notice_changes(self, self.loaded_meta, self._description(), filename)
            try:
                fit_optimizer_state(self, checkpoint, self._changes, filename)
                checkpoint = plain_training_state(checkpoint, self, filename)
            except (ValueError, CheckpointError):
                _require_exact(load_weights(model, checkpoint), filename)  # another model: that says more
                raise
            self.call_hook('after_load_checkpoint', checkpoint=checkpoint)
        report = load_weights(model, checkpoint)
        if not resuming:
            # Hooks that keep a second set of weights (EMA) must get what fits the model, not what the file holds, and
            # may exchange the two.
            fitted = fit_checkpoint(checkpoint, model.state_dict(), filename)
            self.call_hook('after_load_checkpoint', checkpoint=fitted)
            model.load_state_dict(fitted['state_dict'])
        partial = self.cfg.get('allow_partial', False)
        if strict or resuming:
            _require_exact(report, filename)
        if resuming:
            warn_of_changes(self, self._changes, self._description())
        if self._only_testing and not report.is_complete and not partial:
            raise ValueError(
                f'{filename} does not fill the model that is to be tested: {report}; use the config it was trained '
                'with, or accept it with --cfg-options allow_partial=True'
            )
        share = backbone_share(report, model)
        if share < 0.5 and not partial:
            raise ValueError(
                f'only {share:.0%} of the backbone is in {filename} ({report}); it belongs to another model: convert '
                'its keys, or accept it with --cfg-options allow_partial=True'
            )
        self._has_loaded = True
        note = ' (another classifier is normal when fine-tuning)' if report.reshaped and report.is_complete else ''
        self.logger.info(f'{"resumed" if resuming else "loaded"} {filename}: {report}{note}')
        return checkpoint

    def scale_lr(self, optim_wrapper: OptimWrapper, auto_scale_lr: dict | None = None) -> None:
        """Scales the learning rate by the batch over all ranks (``--auto-scale-lr``), and says how.

        Args:
            optim_wrapper (OptimWrapper): The optimizers, before any schedule is built.
            auto_scale_lr (dict, optional): ``enable`` and ``base_batch_size``. Defaults to None.

        Raises:
            ValueError: If ``base_batch_size`` is missing.
        """
        if not auto_scale_lr or not auto_scale_lr.get('enable', False):
            return
        base = auto_scale_lr.get('base_batch_size')
        if not base:
            raise ValueError(
                'auto_scale_lr is enabled without base_batch_size, the batch size over all GPUs that the learning rate '
                'was chosen for; add it: auto_scale_lr = dict(base_batch_size=64)'
            )
        # MMEngine would read DataLoader.batch_size, which is None with a batch sampler.
        batch = self.train_dataloader.batch_sampler.batch_size * self.world_size
        for wrapper in optim_wrapper.values() if isinstance(optim_wrapper, OptimWrapperDict) else [optim_wrapper]:
            for group in wrapper.optimizer.param_groups:
                scaled = group['lr'] * batch / base
                self.logger.info(f'learning rate {group["lr"]:g} x ({batch} / {base}) = {scaled:g}')
                group['lr'] = scaled


def _require_exact(report: LoadReport, filename: str) -> None:
    if not report.is_exact:
        raise ValueError(
            f'{filename} does not fit the model, so the run cannot be continued: {report}; use the config it was '
            'made with, or load_from instead of resume to start anew from its weights'
        )


def _of_first_rank(compute: Callable[[], Any]) -> Any:
    """Computes something on the first rank only, and gives it to all."""
    found = [compute() if is_main_process() else None]
    broadcast_object_list(found)
    return found[0]


def _timeout(env_cfg: dict) -> dict:
    """Gives the argument of torch for ``env_cfg.dist_cfg.timeout``: seconds that a rank waits for the others."""
    seconds = (env_cfg.get('dist_cfg') or {}).get('timeout')
    if seconds is None:
        return {}
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds > 0:
        raise ValueError(f'env_cfg.dist_cfg.timeout={seconds!r} must be a number of seconds above 0, such as 1800')
    return dict(timeout=timedelta(seconds=seconds))
