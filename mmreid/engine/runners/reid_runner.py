# Copyright (c) mmreid contributors. All rights reserved.
"""MMEngine's runner, made safe for re-ID: CPU ranks, class counts from the data, loading that reports."""

from contextlib import suppress
from dataclasses import replace
from typing import Any

import torch
from mmengine.dist import is_main_process
from mmengine.logging import MMLogger
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from mmengine.runner import BaseLoop, Runner
from torch import nn
from torch.utils.data import DataLoader

from mmreid.datasets.samplers import reseed
from mmreid.engine.checkpoints.inference_meta import inference_meta
from mmreid.engine.checkpoints.resume_schedule import apply_changes, keep_initial_rates, state_at_start
from mmreid.engine.checkpoints.run_description import KEY, describe_run, note_seed
from mmreid.engine.checks.hook_configs import check_custom_hooks, check_default_hooks
from mmreid.engine.checks.schedule_end import late_end
from mmreid.engine.contracts import RunAwareRunner
from mmreid.engine.hooks.safe_checkpoint_hook import SafeCheckpointHook
from mmreid.registry import RUNNERS
from mmreid.utils.checkpoint import load_checkpoint_file
from mmreid.utils.dist import of_first_rank
from mmreid.utils.run_lock import FolderInUseError, keeps_own_folders, run_lock
from mmreid.utils.unwrap_model import unwrap_model
from mmreid.utils.weight_sources import use_safe_loaders

from . import building, loading
from .channels_last import to_channels_last
from .console import quiet_warnings, set_console
from .run_identity import newest_checkpoint, run_to_train, set_current_run
from .schedule_fractions import resolve_fractions


@RUNNERS.register_module()
class ReIDRunner(RunAwareRunner, Runner):
    """The runner of all mmreid configs (``runner_type='ReIDRunner'`` in ``default_runtime.py``).

    Beyond MMEngine's :class:`~mmengine.runner.Runner`:

    - ``--launcher pytorch`` works without a GPU (gloo ranks);
    - a work dir and an ``out_dir`` of checkpoints belong to one training at a time, a second is refused;
    - ``model.head.num_classes=None`` is filled in from the training data;
    - workers are seeded per epoch, ``persistent_workers`` is left out where torch would refuse it;
    - ``load_from`` and ``resume`` report what was loaded, missing and skipped, and fail when hardly anything fits;
    - ``resume`` takes the newest complete checkpoint of the work directory's current run, names those it skipped, and
      recognizes checkpoints by the id of their run (``meta['run_id']``), not by file times;
    - ``resume`` refuses other training data, warns about each setting that has changed, and lets it take effect;
    - an error about weights that cannot be fetched says what to do;
    - a schedule may be given in fractions of the training; one that is longer than it is reported;
    - the console stays readable (``console = 'quiet'``), the log file has everything;
    - ``channels_last = True`` in the config lets convolutions work in that layout;
    - testing does not need the training data, and without a checkpoint tests the initial weights;
    - weights of ``init_cfg`` are read without running code (:func:`mmreid.utils.weight_sources.use_safe_loaders`).
    """

    _missing_data: FileNotFoundError | None = None
    _resuming = False
    _only_testing = False
    _initialized = False  # whether the weights have been initialized
    _newest: str | None = None  # checkpoint of the current run
    _trained_with: dict | None = None  # what the checkpoints of this run say about it
    _inference: dict | None = None  # what the checkpoints of this run say about using the model
    _changes: dict = {}  # what has changed since the checkpoint that is resumed

    def setup_env(self, env_cfg: dict) -> None:
        """Starts gloo where there is no GPU, because MMEngine would ask CUDA for a device; quiets warnings."""
        use_safe_loaders()
        if self.distributed:
            building.start_cpu_group(self.launcher, env_cfg)
        super().setup_env(env_cfg)
        quiet_warnings()

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """Builds the logger; ``console`` of the config says how much of the log it shows."""
        logger = super().build_logger(*args, **kwargs)
        set_console(logger, self.cfg.get('console', 'quiet'))
        return logger

    def _log_env(self, env_cfg: dict) -> None:
        super()._log_env(env_cfg)
        where = torch.cuda.get_device_name() if torch.cuda.is_available() else 'the CPU'
        processes = f'{self.world_size} processes' if self.world_size > 1 else 'one process'
        self.logger.info(f'{processes} on {where} | seed {self.seed} | environment and config: {self.logger.log_file}')

    def set_randomness(self, seed: int | None, *args: Any, **kwargs: Any) -> None:
        """Checks the seed, then seeds all random numbers."""
        building.check_seed(seed)
        super().set_randomness(seed, *args, **kwargs)

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        """Applies ``channels_last``; omits device ids where ranks share the CPU."""
        channels_last = building.wants_channels_last(self.cfg)
        if not is_model_wrapper(model):
            if channels_last:
                to_channels_last(model)
            if self.distributed and not torch.cuda.is_available():
                model_wrapper_cfg = building.cpu_wrapper(self.cfg, model_wrapper_cfg)
        return super().wrap_model(model_wrapper_cfg, model)

    def register_hooks(self, default_hooks: dict | None = None, custom_hooks: list | None = None) -> None:
        """Checks the entries of both sections, then registers them."""
        check_default_hooks(default_hooks or {})
        check_custom_hooks(custom_hooks)
        super().register_hooks(default_hooks, custom_hooks)

    def build_param_scheduler(self, scheduler: Any) -> Any:
        """Builds the schedules for the length of the training; warns about one that ends after it."""
        if not isinstance(self._train_loop, BaseLoop):
            return super().build_param_scheduler(scheduler)
        scheduler = resolve_fractions(scheduler, self._train_loop)
        built = super().build_param_scheduler(scheduler)
        if late := late_end(scheduler, self.max_epochs or 1, self.max_iters):
            self.logger.warning(late)
        return built

    @staticmethod
    def build_dataloader(
        dataloader: DataLoader | dict, seed: int | None = None, diff_rank_seed: bool = False
    ) -> DataLoader:
        """Builds a dataloader whose workers draw other random numbers in each epoch."""
        if isinstance(dataloader, dict):
            dataloader = building.complete_dataloader(dataloader)
        return Runner.build_dataloader(dataloader, seed=seed, diff_rank_seed=diff_rank_seed)

    def build_model(self, model: nn.Module | dict) -> nn.Module:
        """Builds the model for the identities of the training data; copies an architecture file into the config."""
        cfg = model if isinstance(model, dict) else {}
        if cfg.get('head') is not None and self._train_dataloader is not None:
            building.fill_num_classes(cfg['head'], self._count_classes())
        built = super().build_model(model)
        building.copy_arch(self.cfg, cfg.get('arch'), built)
        return built

    def _count_classes(self) -> int:
        """Builds the training data, and counts its identities; 0 if it is not there, which is fine for testing."""
        try:
            by_rank = self._randomness_cfg.get('diff_rank_seed', False)
            self._train_dataloader = self.build_dataloader(self._train_dataloader, self.seed, by_rank)
        except FileNotFoundError as error:
            self._missing_data = error
            return 0
        return building.count_classes(self._train_dataloader.dataset)

    def dump_config(self) -> None:
        """Writes the config into the work dir, unless a training is running there."""
        if is_main_process():
            with suppress(FolderInUseError), run_lock(self.work_dir):
                super().dump_config()

    def own_folders(self) -> list[str]:
        """Lists the local folders that this training writes checkpoints to, and no other may use meanwhile."""
        folders = (hook.local_folder(self) for hook in self.hooks if isinstance(hook, SafeCheckpointHook))
        return [self.work_dir, *filter(None, folders)]

    @keeps_own_folders
    def train(self) -> nn.Module:
        """Trains; see :meth:`mmengine.runner.Runner.train`."""
        if self._missing_data is not None:
            raise self._missing_data
        if self._resume and self._load_from is None:
            self._load_from = of_first_rank(self.newest_checkpoint)
        if self._resume and self._load_from is not None:
            loading.forget_pretrained(self.model)
        model = super().train()
        set_current_run(self, replace(self.current_run, finished=True))
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
        with loading.missing_weights_explained(self.cfg.get('model', {})):
            super()._init_model_weights()

    def load_or_resume(self) -> None:
        """Resumes or loads as the config says; ``resume`` without a file takes the newest complete checkpoint."""
        training = isinstance(self._train_loop, BaseLoop)
        if not self._has_loaded:
            if training:
                keep_initial_rates(self)
                self._description()
            if self._resume and self._load_from is None:
                loading.start_new(self)
            elif self._resume:
                self.resume(str(self._load_from))
            elif self._load_from is not None:
                self.load_checkpoint(self._load_from)
            self._has_loaded = True
        if training and self.current_run is None:
            set_current_run(self, run_to_train(self))

    def newest_checkpoint(self) -> str | None:
        """Finds the checkpoint that ``resume`` continues from; None if there is none."""
        self._newest = newest_checkpoint(self.work_dir)
        return self._newest

    def save_checkpoint(self, *args: Any, meta: dict | None = None, **kwargs: Any) -> None:
        """Saves a checkpoint that knows its run; see :meth:`mmengine.runner.Runner.save_checkpoint`."""
        if self._inference is None:
            self._inference = inference_meta(self.cfg, unwrap_model(self.model))
        known = dict(self._inference, run_id=self.current_run.id, validated=self.validated_iter == self.iter)
        super().save_checkpoint(*args, meta={**(meta or {}), **known, KEY: self._description()}, **kwargs)

    def resume(self, filename: str, *args: Any, **kwargs: Any) -> None:
        """Continues a run exactly, except for the settings that the config has changed."""
        self._resuming = True
        if not isinstance(self.optim_wrapper, OptimWrapper):  # called from outside, before train()
            loading.build_to_resume(self)
        start = state_at_start(self)
        try:
            super().resume(filename, *args, **kwargs)
        finally:
            self._resuming = False
        if self._changes:
            apply_changes(self, start, self._changes)
        note_seed(self, self._description())
        loading.warn_if_done(self, filename)
        reseed(self.train_dataloader, self.seed)  # built with the seed of the config, but the run keeps its own

    def _description(self) -> dict:
        if self._trained_with is None:
            self._trained_with = describe_run(self)
        return self._trained_with

    def load_checkpoint(self, filename: str, map_location: Any = 'cpu', strict: bool = False, **_: Any) -> dict:
        """Loads weights, and reports what was loaded, missing and skipped; :mod:`.loading` says what must fit."""
        checkpoint = load_checkpoint_file(filename, map_location=map_location)
        self.loaded_meta = checkpoint.get('meta') or {}
        self.validation_saved = self.loaded_meta.get('validated') is True
        if self._resuming:
            checkpoint, self._changes = loading.load_to_resume(self, checkpoint, filename, self._description())
        else:
            loading.load_to_use(self, checkpoint, filename, strict, self._only_testing)
        self._has_loaded = True
        return checkpoint

    def scale_lr(self, optim_wrapper: OptimWrapper, auto_scale_lr: dict | None = None) -> None:
        """Scales the learning rates by the batch over all ranks (``--auto-scale-lr``)."""
        if auto_scale_lr and auto_scale_lr.get('enable', False):
            # MMEngine would read DataLoader.batch_size, which is None with a batch sampler.
            batch_size = self.train_dataloader.batch_sampler.batch_size * self.world_size
            building.scale_rates(optim_wrapper, auto_scale_lr.get('base_batch_size'), batch_size, self.logger)
