# Copyright (c) mmreid contributors. All rights reserved.
import errno
import inspect
import os
import os.path as osp
import shutil
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner
from mmengine.utils import mkdir_or_exist

from mmreid.engine.checkpoints.earlier_run import set_aside_earlier_run
from mmreid.engine.checkpoints.run_files import replaced_best_files, run_of
from mmreid.engine.checks.save_best_keys import check_save_best
from mmreid.registry import HOOKS
from mmreid.utils.atomic_io import TMP_SUFFIX, atomic_write, remove_stale_temporaries

ATOMIC_BACKEND = 'mmreid_atomic'

_CAUSES = {
    errno.ENOSPC: 'no space left on the disk',
    errno.EFBIG: 'the file would exceed the largest size allowed here',
    errno.EACCES: 'no permission to write there',
    errno.EPERM: 'no permission to write there',
    errno.EROFS: 'the file system is read-only',
    errno.ENOTDIR: 'a part of the path is a file, not a folder',
    errno.EEXIST: 'a part of the path is a file, not a folder',
}
if hasattr(errno, 'EDQUOT'):  # absent on Windows
    _CAUSES[errno.EDQUOT] = 'the disk quota is used up'
_NO_ROOM = {errno.ENOSPC, errno.EFBIG, getattr(errno, 'EDQUOT', errno.ENOSPC)}


@register_backend(ATOMIC_BACKEND, force=True)
class AtomicLocalBackend(LocalBackend):
    """The local disk, where a file appears under its name only when it is complete."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Writes bytes to a file atomically; makes its folder.

        Args:
            obj (bytes): The bytes.
            filepath (str or Path): The file.
        """
        mkdir_or_exist(osp.dirname(filepath))
        atomic_write(filepath, obj)


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """A ``CheckpointHook`` that never endangers the last good checkpoint.

    MMEngine's hook removes the oldest (or the previous best) checkpoint first and then writes the new one under its
    final name; a full disk or a kill in between loses both. Here a checkpoint is written to a temporary file, synced to
    the disk and renamed; then ``last_checkpoint`` is replaced in the same way; only then old files go. Whenever the
    process dies, the newest complete file is found by :func:`mmreid.utils.checkpoint.find_resumable_checkpoint`.

    The serialized checkpoint is held in memory once (MMEngine builds it there), as with MMEngine's hook. If saving
    fails on rank 0, that rank raises and the launcher (torchrun) ends the others.

    ``save_best`` stays None by default: choosing by the test query and gallery is tuning on the test set.

    Args:
        *args (Any): Arguments of ``mmengine.hooks.CheckpointHook``, unchanged. A ``backend_args`` or ``out_dir`` that
            names another storage is respected; object stores write atomically by themselves.
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
        """Refuses what MMEngine would only stumble over at the first save."""
        own = type(self).__name__
        unknown = [name for name in self.args if name not in inspect.signature(Runner.save_checkpoint).parameters]
        if unknown:  # worded as Python does it
            raise TypeError(f"{own}.__init__() got an unexpected keyword argument '{unknown[0]}'")
        for name in ('interval', 'max_keep_ckpts', 'save_begin'):
            value = getattr(self, name)
            if not isinstance(value, int):
                raise TypeError(f'{name}={value!r} of {own} must be a whole number')

    def before_train(self, runner) -> None:
        """Prepares the folder, and fails now rather than after the first epoch.

        What a killed run left there is removed; the checkpoints of an earlier run are moved into a subfolder unless
        this one goes on from them.

        Args:
            runner (Runner): The runner of the training process.

        Raises:
            RuntimeError: If the folder cannot be written to.
            ValueError: If ``save_best`` is not a value of the validation.
        """
        resumed = str(runner._load_from) if runner._resume and runner._load_from else ''
        self._check_message_hub(runner, resumed)
        super().before_train(runner)
        self._disown_foreign_best(runner)
        if resumed and self._is_in_out_dir(resumed):
            self.last_ckpt = resumed  # a repeated validation may write its best score into it
        if not self.save_optimizer:
            runner.logger.warning('save_optimizer=False: this training cannot be resumed from its checkpoints')
        if self.save_best and hasattr(runner.val_loop, 'pairs'):
            check_save_best(self.key_indicators, [evaluator for _, evaluator in runner.val_loop.pairs])
        if not isinstance(self.file_backend, AtomicLocalBackend):
            return
        folders = list(dict.fromkeys([str(self.out_dir), runner.work_dir]))
        with self._explain_failure(runner, f'checkpoints in {folders[0]!r}'):
            set_aside_earlier_run(runner, folders, self.filename_tmpl, resumed)
        if not is_main_process():
            return
        if resumed and self._is_in_out_dir(resumed):
            self._remove_replaced_best(runner)
        for folder in folders:
            with self._explain_failure(runner, f'checkpoints in {folder!r}'):
                mkdir_or_exist(folder)
                for path in remove_stale_temporaries(folder):
                    runner.logger.info(f'Removed {path}, the unfinished file of a run that was stopped while saving.')
                probe = osp.join(folder, f'write_test{TMP_SUFFIX}')
                with open(probe, 'wb'):
                    pass
                os.remove(probe)

    def _check_message_hub(self, runner, resumed: str) -> None:
        """Takes out what a resumed checkpoint may not decide: it has no word in what becomes of other files."""
        info = runner.message_hub.runtime_info
        if info.get('keep_ckpt_ids') is not None:
            info['keep_ckpt_ids'] = self._own_ids(runner, info['keep_ckpt_ids'], resumed)
        for key in [key for key in info if key.startswith('best_score')]:
            score = info[key]
            if isinstance(score, bool) or not isinstance(score, (int, float)) or not abs(score) <= sys.float_info.max:
                runner.logger.warning(f'{key}={str(score)[:40]} of {resumed} is not a finite number and is forgotten')
                del info[key]

    def _own_ids(self, runner, ids: Any, resumed: str) -> list[int]:
        """Gives those numbers whose files lie here and were saved by the run that goes on."""
        ids = ids if isinstance(ids, (list, tuple)) and all(type(step) is int for step in ids) else []
        if not resumed:
            return list(ids)
        here, run_id = self._folder_of(runner), run_of(resumed)
        if osp.realpath(osp.dirname(resumed)) != osp.realpath(here):
            return []
        files = {step: osp.join(here, self.filename_tmpl.format(step)) for step in ids}
        return [step for step, file in files.items() if osp.isfile(file) and run_of(file) == run_id]

    def _disown_foreign_best(self, runner) -> None:
        """Forgets best checkpoints that are not here, which would be removed as soon as there is a better one.

        Their scores are forgotten, too, and the validation is run again, so that this folder gets a best checkpoint.
        """
        if not self.save_best:
            return
        known, names = self._known_best()
        for name in names:
            path = known[name]
            if path is None or (isinstance(path, str) and self._is_own_best(path)):
                continue
            runner.logger.warning(
                f'the best checkpoint so far, {str(path)[:200]}, is not in {self.out_dir}: it is left alone, and the '
                'best one is looked for anew from here on'
            )
            known[name] = None
            for entry in ('best_ckpt', 'best_score'):
                key = entry if known is vars(self) else f'{entry}_{name}'
                runner.message_hub.runtime_info.pop(key, None)
            runner.validation_saved = False

    def _known_best(self) -> tuple[dict, list[str]]:
        """Gives where MMEngine keeps the paths of the best checkpoints, and the names they have there."""
        if len(self.key_indicators) == 1:
            return vars(self), ['best_ckpt_path']
        return self.best_ckpt_path_dict, list(self.key_indicators)

    def _remove_replaced_best(self, runner) -> None:
        """Removes what a run that was killed at that moment had replaced."""
        run = getattr(runner, 'current_run', None)  # a plain Runner has no ids of runs
        if not self.save_best or run is None:
            return
        known, names = self._known_best()
        for key, name in zip(self.key_indicators, names, strict=True):
            for path in replaced_best_files(known[name] or '', key, self.filename_tmpl, run.id):
                self._remove(runner, path)

    def _folder_of(self, runner) -> str:
        """Tells what ``out_dir`` will be."""
        if self.out_dir in (None, runner.work_dir):
            return runner.work_dir
        return osp.join(str(self.out_dir), osp.basename(runner.work_dir.rstrip(osp.sep)))

    def local_folder(self, runner) -> str | None:
        """Tells where a training that has not begun will put its checkpoints; None on another storage."""
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
        """Saves, then points ``last_checkpoint`` to the new file, then removes outdated files.

        Args:
            runner (Runner): The runner of the training process.
            step (int): The epoch or iteration in the file name.
            meta (dict): ``epoch`` and ``iter`` of the checkpoint.

        Raises:
            RuntimeError: If the file cannot be written.
        """
        kept = []
        if self.max_keep_ckpts > 0:
            kept = list(self.keep_ckpt_ids)
            if kept[-1:] != [step]:
                kept.append(step)
            # What is saved still lists the file that becomes outdated. If the process dies before removing it, the
            # resumed run's `before_train` does.
            runner.message_hub.update_info('keep_ckpt_ids', kept)
        filename = self.filename_tmpl.format(step)
        path = self.file_backend.join_path(self.out_dir, filename)
        runner.message_hub.update_info('last_ckpt', path)
        with self._explain_failure(runner, f'checkpoint {path!r}'):
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
        """Saves new best checkpoints, then removes the ones they replace.

        Args:
            runner (Runner): The runner of the training process.
            metrics (dict): The results of the validation.

        Raises:
            RuntimeError: If a file cannot be written.
        """
        if not self.save_best:
            return
        # The parent removes the previous best file, if it knows one, before it saves. So hide it for the moment.
        known, keys = self._known_best()
        previous = {key: known[key] for key in keys}
        known.update(dict.fromkeys(keys))
        try:
            with self._explain_failure(runner, f'best checkpoint in {str(self.out_dir)!r}'):
                super()._save_best_checkpoint(runner, metrics)
        finally:
            known.update({key: path for key, path in previous.items() if known[key] is None})
        for key, path in previous.items():
            if path and path != known[key]:
                self._remove(runner, path)

    def _remove(self, runner, path: str) -> None:
        """Removes an outdated checkpoint, on the main process only.

        Args:
            runner (Runner): The runner of the training process.
            path (str): The file, or the folder if the checkpoint is sharded.
        """
        if not is_main_process():
            return
        try:
            if self.file_backend.isfile(path):
                self.file_backend.remove(path)
            elif self.file_backend.isdir(path):
                self.file_backend.rmtree(path)
        except OSError as error:  # a file too many is no reason to stop a training
            runner.logger.warning(f'The outdated checkpoint {path} could not be removed: {error}.')

    @contextmanager
    def _explain_failure(self, runner, what: str) -> Iterator[None]:
        """Turns an ``OSError`` into one sentence with the path, the cause, what is safe, and the remedy.

        Args:
            runner (Runner): The runner of the training process.
            what (str): What is being saved, with its path.

        Yields:
            None: Control, to the code that writes.

        Raises:
            RuntimeError: In place of the ``OSError``.
        """
        try:
            yield
        except OSError as error:
            cause = _CAUSES.get(error.errno, str(error))
            if error.errno in _NO_ROOM:
                with suppress(OSError):
                    cause += f', {shutil.disk_usage(str(self.out_dir)).free / 2**20:.0f} MiB are free'
                remedy = 'free some space, lower max_keep_ckpts, or set default_hooks.checkpoint.out_dir elsewhere'
            else:
                remedy = 'set work_dir or default_hooks.checkpoint.out_dir to a folder you can write to'
            pointer = osp.join(runner.work_dir, 'last_checkpoint')
            safe = 'no earlier checkpoint exists'
            if osp.isfile(pointer):
                with open(pointer, encoding='utf-8') as file:
                    safe = f'the previous checkpoint {file.read().strip()!r} is intact'
            raise RuntimeError(
                f'Cannot save {what}: {cause} ({errno.errorcode.get(error.errno, "no errno")}); '
                f'{safe}; {remedy}, then run again with --resume.'
            ) from error
