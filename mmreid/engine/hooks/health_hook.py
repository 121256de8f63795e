# Copyright (c) mmreid contributors. All rights reserved.
"""Checks the data before a training, and its losses, embeddings and images during it."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.hooks.hook import DATA_BATCH

from mmreid.datasets.contract import ReIDData, inner_datasets
from mmreid.datasets.preparation.leaks import leak_sentence
from mmreid.engine.checks.pair_check import no_pairs_sentence
from mmreid.engine.contracts import MultiTestSetLoop
from mmreid.registry import DATASETS, HOOKS

from .step_values_hook import Step, StepValuesHook, read_values, step_of


@HOOKS.register_module()
class ReIDHealthHook(Hook):
    """Stops a training whose loss is not finite; warns of leaks, collapsed embeddings, unreadable and damaged images.

    Before training it warns if identities or images are used both for training and for validation (or, without
    validation, for testing), and if the batches have no pairs for the metric losses.

    The hook reads the log variables that ``train_step`` returns. MMEngine's ``parse_losses`` sums the entries whose key
    contains ``loss`` and only logs the others, among them these statistics of the heads:

    - ``pos_dist``, ``neg_dist``: mean distance of positive and negative pairs;
    - ``active_triplets``: fraction of anchors with a loss above zero;
    - ``emb_dist``: mean pairwise distance of the L2-normalized embeddings of the batch, in [0, 2].

    They arrive when ``StepValuesHook`` reads them from the device, several steps at once, and always before a
    validation or a checkpoint; without that hook, in every step. A non-finite *gradient* is normal under AMP: the loss
    scaler skips that step and lowers its scale. So the hook checks losses and, before they are saved, weights.

    Args:
        interval (int): Every so many-th iteration is checked; 1 finds every bad step. Defaults to 1.
        collapse_threshold (float): An ``emb_dist`` below this is a collapse. Defaults to 1e-2.
        collapse_patience (int): Checks in a row below the threshold before the hook warns. It warns once until a check
            is above the threshold again. Defaults to 50.

    Raises:
        ValueError: If ``interval`` or ``collapse_patience`` is not positive.
    """

    # Before the logger, the checkpoint hook, and the hook that writes the features of the step into memories.
    priority = 'HIGH'

    def __init__(self, interval: int = 1, collapse_threshold: float = 1e-2, collapse_patience: int = 50) -> None:
        for name, value in (('interval', interval), ('collapse_patience', collapse_patience)):
            if value < 1:
                raise ValueError(f'{name}={value} of ReIDHealthHook must be at least 1')
        self.interval = interval
        self.collapse_threshold = collapse_threshold
        self.collapse_patience = collapse_patience
        self._told_later = False
        self._collapsed_checks = 0
        self._reported_corrupt = 0
        self._reported_damaged: set[str] = set()

    def before_train(self, runner) -> None:
        """Warns of leaks into the validation or test data, and of metric losses without pairs."""
        self._told_later = any(isinstance(hook, StepValuesHook) for hook in runner.hooks)
        if not is_main_process():
            return
        sentence = no_pairs_sentence(runner.model, runner.train_dataloader.batch_sampler)
        if sentence:
            runner.logger.warning(sentence)
        if runner.val_loop is None:
            tested = _test_datasets(runner)
        else:
            tested = [dataloader.dataset for dataloader, _ in _pairs(runner.val_loop)]
        for dataset in tested:
            sentence = leak_sentence(runner.train_dataloader.dataset, dataset)
            if sentence:
                runner.logger.warning(sentence)

    def after_train_iter(
        self, runner, batch_idx: int, data_batch: DATA_BATCH = None, outputs: dict | None = None
    ) -> None:
        """Checks the step, unless a ``StepValuesHook`` will hand over its values."""
        if isinstance(outputs, dict) and not self._told_later:
            step = step_of(runner, data_batch, outputs)
            read_values([step])
            self.after_step_values(runner, [step])

    def after_step_values(self, runner, steps: Sequence[Step]) -> None:
        """Raises a RuntimeError if a loss is not finite, and watches ``emb_dist``."""
        for step in steps:
            if (step.iter + 1) % self.interval == 0:
                self._check(runner, step)

    def _check(self, runner, step: Step) -> None:
        losses = {key: value for key, value in step.values.items() if 'loss' in key}
        if not all(math.isfinite(value) for value in losses.values()):
            bad = ', '.join(f'{key}={value:g}' for key, value in losses.items() if not math.isfinite(value))
            good = ', '.join(f'{key}={value:.4g}' for key, value in losses.items() if math.isfinite(value))
            raise RuntimeError(
                f'Training stopped {_where(step)}: the loss is not finite ({bad}; finite terms: {good or "none"}; '
                f'{_step_facts(step)}); usual causes are a learning rate that is too high or has no '
                'warm-up, a square root or logarithm at 0, distances computed in fp16, and broken labels; the '
                'checkpoints saved so far do not hold the weights of this step.'
            )
        if 'emb_dist' in step.values:
            self._watch_collapse(runner, step)

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Raises a RuntimeError if a weight is not finite, which the loss of the next step would have shown."""
        weights = checkpoint['state_dict'].items()
        bad = [name for name, value in weights if value.is_floating_point() and not value.isfinite().all()]
        if bad:
            raise RuntimeError(
                f'{len(bad)} of {len(weights)} weights are not finite after iteration {runner.iter + 1}, the first is '
                f'{bad[0]}; usual causes are a learning rate that is too high or has no warm-up, and values beyond the '
                'range of half precision; they are not saved, so continue from the previous checkpoint'
            )

    def after_train_epoch(self, runner) -> None:
        """Reports training images, read by this rank, that were unreadable or damaged."""
        counted = list(inner_datasets(runner.train_dataloader.dataset))
        self._report_damaged(runner, counted)
        total = sum(int(dataset.num_corrupt) for dataset in counted)
        if total <= self._reported_corrupt:
            return
        self._reported_corrupt = total
        names = [str(name) for dataset in counted for name in dataset.corrupt_files]
        listed = f': {", ".join(names[:5])}{", ..." if len(names) > 5 else ""}' if names else ''
        runner.logger.warning(
            f'{total} unreadable images were replaced by others of the training set so far{listed}. '
            'Fetch these files again or remove them.'
        )

    def after_val_epoch(self, runner, metrics: dict | None = None) -> None:
        """Reports damaged images of the validation sets."""
        self._report_damaged(runner, _datasets_of(runner.val_loop))

    def after_test_epoch(self, runner, metrics: dict | None = None) -> None:
        """Reports damaged images of the test sets."""
        self._report_damaged(runner, _datasets_of(runner.test_loop))

    def _report_damaged(self, runner, datasets: Iterable[Any]) -> None:
        """Warns of images found damaged since the last report."""
        names = dict.fromkeys(str(name) for dataset in datasets for name in dataset.damaged_files)
        new = [name for name in names if name not in self._reported_damaged]
        if not new:
            return
        self._reported_damaged.update(new)
        runner.logger.warning(
            f'{len(new)} images are damaged: {", ".join(new[:5])}{", ..." if len(new) > 5 else ""}. Their decoder '
            'made up some of their pixels, and they are used anyway. Fetch these files again or remove them '
            '(tools/misc/verify_dataset.py finds all).'
        )

    def _watch_collapse(self, runner, step: Step) -> None:
        """Counts consecutive checks with collapsed embeddings, and warns once."""
        emb_dist = step.values['emb_dist']
        if not emb_dist < self.collapse_threshold:
            self._collapsed_checks = 0
            return
        self._collapsed_checks += 1
        if self._collapsed_checks == self.collapse_patience:
            runner.logger.warning(
                f'The embeddings have collapsed: their mean pairwise distance is {emb_dist:.2g}, below '
                f'{self.collapse_threshold:g} for {self.collapse_patience} checks in a row '
                f'({_where(step)}, {_learning_rate(step)}). Usual causes: learning rate too high, no warm-up, '
                'pretrained weights not loaded, too few identities per batch.'
            )


def _where(step: Step) -> str:
    """Names the step, 1-based."""
    return f'at epoch {step.epoch + 1}, iteration {step.iter + 1}'


def _learning_rate(step: Step) -> str:
    """Names the learning rates of the first parameter groups, e.g. ``lr=0.00035``."""
    rates = {key: values[0] for key, values in step.rates.items() if not key.endswith('base_lr')}
    return ', '.join(f'{key}={value:.3g}' for key, value in rates.items())


def _step_facts(step: Step) -> str:
    """Names the learning rate, the gradient norm and the identities of a bad step, as far as they are known."""
    facts = [_learning_rate(step)]
    if step.grad_norm is not None:
        facts.append(f'grad_norm={step.grad_norm:.3g}')
    if step.samples:
        # Samples of other packages have no pid.
        pids = sorted({int(sample.pid) for sample in step.samples if getattr(sample, 'pid', None) is not None})
        shown = ', '.join(map(str, pids[:8])) + (', ...' if len(pids) > 8 else '')
        facts.append(f'{len(step.samples)} images' + (f' of the {len(pids)} identities {shown}' if pids else ''))
    return ', '.join(facts)


def _test_datasets(runner) -> list[Any]:
    """Builds the test sets, which a training does not build, to read their labels."""
    loaders = runner.cfg.get('test_dataloader') or []
    datasets = []
    for loader in loaders if isinstance(loaders, (list, tuple)) else [loaders]:
        try:
            datasets.append(DATASETS.build({**loader['dataset'], 'pipeline': [], 'serialize_data': False}))
        except (OSError, ValueError, TypeError, KeyError) as error:
            runner.logger.info(f'the test data could not be read, so it was not checked for leaks: {error}')
    return datasets


def _pairs(loop: Any) -> Iterable[tuple]:
    return loop.pairs if isinstance(loop, MultiTestSetLoop) else ()


def _datasets_of(loop: Any) -> list[ReIDData]:
    return [found for dataloader, _ in _pairs(loop) for found in inner_datasets(dataloader.dataset)]
