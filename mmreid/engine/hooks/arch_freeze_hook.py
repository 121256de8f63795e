# Copyright (c) mmreid contributors. All rights reserved.
"""Ends an architecture search and writes the result."""

from pathlib import Path

import torch
from mmengine.config import ConfigDict
from mmengine.dataset import BaseDataset
from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from mmreid.engine.checkpoints.inference_meta import inference_meta
from mmreid.engine.search.arch_search_loop import ArchSearchLoop
from mmreid.engine.search.result_files import write_result
from mmreid.models.mutators import pruned_state_dict
from mmreid.registry import HOOKS
from mmreid.utils.arch_io import Architecture
from mmreid.utils.atomic_io import atomic_write
from mmreid.utils.unwrap_model import unwrap_model
from mmreid.version import __version__

from .arch_log_hook import mutator_of

STABILITY = 'arch_stability'  # in the message hub, so that a resumed run continues counting


@HOOKS.register_module()
class ArchFreezeHook(Hook):
    """Freezes the architecture during a run, and writes it into the work dir.

    Frozen norms run their chosen candidate, and the architecture takes no more steps; the weights continue training.
    The network itself is never pruned, so optimizers, checkpoints and ranks keep its parameters.

    When the choices are frozen and at the end of the run, rank 0 writes these files, each completely or not at all:

    - ``arch.json``, which ``CrossModalReID(arch='.../arch.json')`` trains from scratch;
    - ``arch_config.py``, the same as the variable ``arch`` of a config, see
      :func:`~mmreid.utils.arch_io.config_fragment`;
    - ``config.cfg``, the line of the official code, if the backbone is a plain ResNet;
    - ``arch.png``, a plot;
    - ``pruned.pth``, only the weights of the chosen branches, which fit the model with that ``arch`` exactly.

    Args:
        at_epoch (int, optional): Freeze the choices after this many epochs. Defaults to None: never.
        stable_epochs (int, optional): Freeze them once none has changed for this many epochs with architecture steps.
            Defaults to None.
        stop_training (bool): End the run then, instead of training the weights further. Defaults to False.

    Raises:
        ValueError: If a number is not positive, or ``stop_training`` is set and nothing would ever freeze the choices.
    """

    # After SyncNormHook has averaged the statistics, before the checkpoint is saved.
    priority = 'LOW'

    def __init__(
        self, at_epoch: int | None = None, stable_epochs: int | None = None, stop_training: bool = False
    ) -> None:
        for name, value in (('at_epoch', at_epoch), ('stable_epochs', stable_epochs)):
            if value is not None and value < 1:
                raise ValueError(f'{name}={value} of ArchFreezeHook must be at least 1')
        if stop_training and at_epoch is None and stable_epochs is None:
            raise ValueError(
                'stop_training=True of ArchFreezeHook waits for the choices to be fixed; give at_epoch or stable_epochs'
            )
        self.at_epoch = at_epoch
        self.stable_epochs = stable_epochs
        self.stop_training = stop_training

    def before_train(self, runner) -> None:
        """Checks the model and ``at_epoch``, and stops a resumed run whose search is over."""
        mutator = mutator_of(runner)
        warmup = _warmup_epochs(runner)
        if self.at_epoch is not None and not warmup < self.at_epoch <= runner.max_epochs:
            raise ValueError(
                f'at_epoch={self.at_epoch} of ArchFreezeHook must be above the {warmup} warm-up epochs of the search '
                f'and at most max_epochs={runner.max_epochs}'
            )
        if mutator.frozen and self.stop_training:
            runner.logger.warning(
                'stop_training=True of ArchFreezeHook ends this run at once: its architecture is fixed already'
            )
            runner.train_loop.stop_training = True

    def after_train_epoch(self, runner) -> None:
        """Freezes the choices after ``at_epoch``, or once they are stable."""
        mutator = mutator_of(runner)
        if mutator.frozen:
            return
        epoch, stable = runner.epoch + 1, self._stable_epochs(runner)
        if self.at_epoch is not None and epoch >= self.at_epoch:
            reason = f'at_epoch={self.at_epoch}'
        elif self.stable_epochs is not None and stable >= self.stable_epochs:
            reason = f'no choice has changed during {stable} epochs'
        else:
            return
        mutator.freeze()
        runner.logger.info(f'the architecture is fixed after epoch {epoch}: {reason}')
        self._write(runner, epoch)
        if self.stop_training:
            runner.train_loop.stop_training = True

    def after_train(self, runner) -> None:
        """Writes the architecture at the end of the run."""
        self._write(runner, runner.epoch)

    def _stable_epochs(self, runner) -> int:
        """Counts the epochs since a choice last changed, including those before a resume."""
        if runner.epoch < _warmup_epochs(runner):
            return 0
        choices = ' '.join(mutator_of(runner).choices().values())
        known = runner.message_hub.runtime_info.get(STABILITY)
        known = known if isinstance(known, dict) and type(known.get('epochs')) is int else {}
        epochs = known['epochs'] + 1 if known.get('choices') == choices else 0
        runner.message_hub.update_info(STABILITY, dict(choices=choices, epochs=epochs))
        return epochs

    def _write(self, runner, epoch: int) -> None:
        if not is_main_process():
            return
        arch = architecture_of(runner)
        folder = Path(runner.work_dir)
        write_result(folder, arch, title=f'epoch {epoch}')
        meta = dict(arch=arch.norms, epoch=epoch, mmreid_version=__version__)
        model, dataset = unwrap_model(runner.model), runner.train_dataloader.dataset
        meta['dataset_meta'] = dataset.metainfo if isinstance(dataset, BaseDataset) else {}
        meta.update(inference_meta(runner.cfg, model, arch.norms))
        checkpoint = dict(meta=meta, state_dict=pruned_state_dict(model))
        atomic_write(folder / 'pruned.pth', lambda file: torch.save(checkpoint, file))
        split = sum(state == 'split' for state in arch.norms.values())
        runner.logger.info(
            f'{split} of {len(arch.norms)} norms are split; the architecture is in {folder / "arch.json"}, its weights '
            f'are in {folder / "pruned.pth"}'
        )


def architecture_of(runner) -> Architecture:
    """Returns the architecture that the search of a runner would choose now."""
    mutator = mutator_of(runner)
    choices, model = mutator.choices(), runner.cfg.get('model')
    backbone = model.get('backbone', {}) if isinstance(model, dict) else {}
    p_split = mutator.probabilities()[:, 0].tolist()
    return Architecture(choices, ConfigDict(backbone).to_dict(), dict(zip(choices, p_split, strict=True)))


def _warmup_epochs(runner) -> int:
    return runner.train_loop.warmup_epochs if isinstance(runner.train_loop, ArchSearchLoop) else 0
