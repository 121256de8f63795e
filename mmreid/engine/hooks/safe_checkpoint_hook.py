# Copyright (c) mmreid contributors. All rights reserved.
"""Saves checkpoints so that no failure costs the last good one."""

import inspect
import os
import os.path as osp
from collections import deque
from contextlib import AbstractContextManager
from fnmatch import fnmatchcase
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner
from mmengine.utils import mkdir_or_exist

from mmreid.engine.checkpoints.atomic_backend import ATOMIC_BACKEND, AtomicLocalBackend
from mmreid.engine.checkpoints.earlier_run import set_aside_earlier_run
from mmreid.engine.checkpoints.resumed_hub import clean_message_hub
from mmreid.engine.checkpoints.run_files import replaced_best_files
from mmreid.engine.checkpoints.save_failure import save_failure_explained
from mmreid.engine.checks.save_best_keys import check_save_best
from mmreid.engine.contracts import MultiTestSetLoop, current_run_of
from mmreid.registry import HOOKS
from mmreid.utils.atomic_io import TMP_SUFFIX, atomic_write, remove_stale_temporaries


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """A ``CheckpointHook`` that never endangers the last good checkpoint.

    MMEngine's hook removes the oldest (or the previous best) checkpoint first and then writes the new one under its
    final name; a full disk or a kill in between loses both. This hook writes a checkpoint to a temporary file, syncs it
    to the disk and renames it, then replaces ``last_checkpoint`` in the same way, and only then removes old files.
    Whenever the process dies, :func:`mmreid.utils.checkpoint.find_resumable_checkpoint` finds the newest complete file.

    Memory holds the serialized checkpoint once, as with MMEngine's hook. If saving fails on rank 0, that rank raises
    and the launcher (torchrun) ends the others.

    ``save_best`` stays None by default: choosing by the test query and gallery is tuning on the test set.

    Args:
        *args (Any): Arguments of ``mmengine.hooks.CheckpointHook``, unchanged. A ``backend_args`` or ``out_dir`` that
            names another storage stays; object stores write atomically by themselves.
        **kwargs (Any): Keyword arguments of ``mmengine.hooks.CheckpointHook``, unchanged.

    Raises:
        TypeError: If an argument is unknown, or not a number where one is needed.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._refuse_typos()
        is_local = self.backend_args in (None, dict(backend='local')) and '://' not in str(self.out_dir or '')
        if self.file_client_args is None and is_local:
            self.backend_args = dict(backend=ATOMIC_BACKEND)

    def _refuse_typos(self) -> None:
        """Refuses arguments that MMEngine would reject only at the first save."""
        own = type(self).__name__
        unknown = [name for name in self.args if name not in inspect.signature(Runner.save_checkpoint).parameters]
        if unknown:  # worded as Python does it
            raise TypeError(f"{own}.__init__() got an unexpected keyword argument '{unknown[0]}'")
        for name in ('interval', 'max_keep_ckpts', 'save_begin'):
            value = vars(self)[name]
            if not isinstance(value, int):
                raise TypeError(f'{name}={value!r} of {own} must be a whole number')

    def before_train(self, runner) -> None:
        """Prepares the folder, or fails now rather than after the first epoch.

        Removes what a killed run left there, and moves the checkpoints of an earlier run into a subfolder unless this
        run continues from them.
        """
        resumed = str(runner._load_from) if runner._resume and runner._load_from else ''
        clean_message_hub(runner, resumed, self._folder_of(runner), self.filename_tmpl)
        super().before_train(runner)
        self._disown_foreign_best(runner)
        if resumed and self._is_in_out_dir(resumed):
            self.last_ckpt = resumed  # a repeated validation may write its best score into it
        if not self.save_optimizer:
            runner.logger.warning('save_optimizer=False: this training cannot be resumed from its checkpoints')
        if self.save_best and isinstance(runner.val_loop, MultiTestSetLoop):
            check_save_best(self.key_indicators, [evaluator for _, evaluator in runner.val_loop.pairs])
        if not isinstance(self.file_backend, AtomicLocalBackend):
            return
        folders = list(dict.fromkeys([str(self.out_dir), runner.work_dir]))
        with self._failure_explained(runner, f'checkpoints in {folders[0]!r}'):
            set_aside_earlier_run(runner, folders, self.filename_tmpl, resumed)
        if not is_main_process():
            return
        if resumed and self._is_in_out_dir(resumed):
            self._remove_replaced_best(runner)
        for folder in folders:
            with self._failure_explained(runner, f'checkpoints in {folder!r}'):
                mkdir_or_exist(folder)
                for path in remove_stale_temporaries(folder):
                    runner.logger.info(f'Removed {path}, the unfinished file of a run that was stopped while saving.')
                probe = osp.join(folder, f'write_test{TMP_SUFFIX}')
                with open(probe, 'wb'):
                    pass
                os.remove(probe)

    def _disown_foreign_best(self, runner) -> None:
        """Forgets best checkpoints in other folders and their scores, or the next better one would remove them.

        The validation is repeated, so that this folder gets a best checkpoint.
        """
        if not self.save_best:
            return
        known, names = self._known_best()
        for name in names:
            path = known[name]
            if path is None or (isinstance(path, str) and self._is_own_best(path)):
                continue
            runner.logger.warning(
                f'the best checkpoint so far, {str(path)[:200]}, is not in {self.out_dir}: it stays there, and '
                'the search for the best one starts anew'
            )
            known[name] = None
            for entry in ('best_ckpt', 'best_score'):
                key = entry if known is vars(self) else f'{entry}_{name}'
                runner.message_hub.runtime_info.pop(key, None)
            runner.validation_saved = False

    def _known_best(self) -> tuple[dict, list[str]]:
        """Returns the dict in which MMEngine keeps the paths of the best checkpoints, and their keys in it."""
        if len(self.key_indicators) == 1:
            return vars(self), ['best_ckpt_path']
        return self.best_ckpt_path_dict, list(self.key_indicators)

    def _remove_replaced_best(self, runner) -> None:
        """Removes best checkpoints that were replaced just before the run was killed."""
        run = current_run_of(runner)
        if not self.save_best or run is None:
            return
        known, names = self._known_best()
        for key, name in zip(self.key_indicators, names, strict=True):
            for path in replaced_best_files(known[name] or '', key, self.filename_tmpl, run.id):
                self._remove(runner, path)

    def _folder_of(self, runner) -> str:
        """Returns what ``out_dir`` will be."""
        if self.out_dir in (None, runner.work_dir):
            return runner.work_dir
        return osp.join(str(self.out_dir), osp.basename(runner.work_dir.rstrip(osp.sep)))

    def local_folder(self, runner) -> str | None:
        """Returns the folder that a training will put its checkpoints into; None on another storage."""
        return self._folder_of(runner) if self.backend_args == dict(backend=ATOMIC_BACKEND) else None

    def _is_own_best(self, path: str) -> bool:
        return (
            self._is_in_out_dir(path)
            and fnmatchcase(osp.basename(path), 'best_*.pth')
            and ('://' in path or osp.isfile(path))
        )

    def _is_in_out_dir(self, path: str) -> bool:
        if '://' in path or '://' in str(self.out_dir):
            return osp.dirname(path) == str(self.out_dir).rstrip('/')
        return osp.realpath(osp.dirname(path)) == osp.realpath(str(self.out_dir))

    def _save_checkpoint_with_step(self, runner, step: int, meta: dict) -> None:
        """Saves, then points ``last_checkpoint`` to the new file, then removes outdated files."""
        kept = []
        if self.max_keep_ckpts > 0:
            kept = list(self.keep_ckpt_ids)
            if kept[-1:] != [step]:
                kept.append(step)
            # The checkpoint still lists the file that becomes outdated. If the process dies before removing it, the
            # resumed run's `before_train` does.
            runner.message_hub.update_info('keep_ckpt_ids', kept)
        filename = self.filename_tmpl.format(step)
        path = self.file_backend.join_path(self.out_dir, filename)
        runner.message_hub.update_info('last_ckpt', path)
        with self._failure_explained(runner, f'checkpoint {path!r}'):
            # Only rank 0 enters save_checkpoint; what every rank has to save goes before it.
            runner.call_hook('before_save_on_all_ranks', path=path)
            runner.save_checkpoint(
                self.out_dir,
                filename,
                self.file_client_args,
                save_optimizer=self.save_optimizer,
                save_param_scheduler=self.save_param_scheduler,
                meta=meta,
                by_epoch=self.by_epoch,
                backend_args=self.backend_args,
                **self.args,
            )
            if is_main_process():
                atomic_write(osp.join(runner.work_dir, 'last_checkpoint'), path)
        self.last_ckpt = path

        if self.max_keep_ckpts > 0:
            for outdated in kept[: -self.max_keep_ckpts]:
                self._remove(runner, self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(outdated)))
            self.keep_ckpt_ids = deque(kept, self.max_keep_ckpts)
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))

    def _save_best_checkpoint(self, runner, metrics: dict[str, Any]) -> None:
        """Saves new best checkpoints, then removes the ones they replace."""
        if not self.save_best:
            return
        # The parent removes the previous best file, if it knows one, before it saves. So hide it for the moment.
        known, keys = self._known_best()
        previous = {key: known[key] for key in keys}
        known.update(dict.fromkeys(keys))
        try:
            with self._failure_explained(runner, f'best checkpoint in {str(self.out_dir)!r}'):
                super()._save_best_checkpoint(runner, metrics)
        finally:
            known.update({key: path for key, path in previous.items() if known[key] is None})
        for key, path in previous.items():
            if path and path != known[key]:
                self._remove(runner, path)

    def _remove(self, runner, path: str) -> None:
        """Removes an outdated checkpoint, a file or a sharded one's folder, on the main process only."""
        if not is_main_process():
            return
        try:
            if self.file_backend.isfile(path):
                self.file_backend.remove(path)
            elif self.file_backend.isdir(path):
                self.file_backend.rmtree(path)
        except OSError as error:  # one file too many is no reason to stop a training
            runner.logger.warning(f'The outdated checkpoint {path} could not be removed: {error}.')

    def _failure_explained(self, runner, what: str) -> AbstractContextManager[None]:
        return save_failure_explained(what, str(self.out_dir), runner.work_dir)
