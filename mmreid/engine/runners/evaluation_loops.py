# Copyright (c) mmreid contributors. All rights reserved.
"""Validation and test loops over one or several test sets, with one table at the end."""

import copy
import itertools
from typing import Any

from mmengine.evaluator import Evaluator
from mmengine.model import is_model_wrapper
from mmengine.runner import BaseLoop, Runner, TestLoop, ValLoop

from mmreid.evaluation.metrics.summary import join_metrics, metric_table
from mmreid.registry import LOOPS


def pair_evaluators(dataloaders: Any, evaluators: Any) -> list[tuple[Any, Any]]:
    """Gives every dataloader its own evaluator; one evaluator config serves all of several dataloaders."""
    if not isinstance(dataloaders, (list, tuple)):
        return [(dataloaders, evaluators)]
    if not dataloaders:
        raise ValueError('the list of test dataloaders is empty; give at least one')
    if len(dataloaders) == 1 and not (isinstance(evaluators, (list, tuple)) and len(evaluators) == 1):
        return [(dataloaders[0], evaluators)]  # a list of evaluators are the metrics of this one
    if isinstance(evaluators, dict):
        evaluators = [copy.deepcopy(evaluators) for _ in dataloaders]
    if not isinstance(evaluators, (list, tuple)) or len(evaluators) != len(dataloaders):
        raise ValueError(
            f'{len(dataloaders)} test dataloaders need one evaluator config for all, or a list of {len(dataloaders)}; '
            f'got {evaluators!r}'
        )
    return list(zip(dataloaders, evaluators, strict=True))


class _SeveralTestSets:
    """What both loops share: the pairs of dataloader and evaluator, and the walk over them.

    ``self.dataloader`` and ``self.evaluator`` are the pair at work, so that MMEngine's loggers and hooks, which know of
    one, follow. ``self.details`` has what :attr:`FeatureMetric.details` has, of all test sets.
    """

    runner: Runner
    dataloader: Any
    evaluator: Evaluator

    def _init_pairs(self, rest: list[tuple[Any, Any]]) -> None:
        self.pairs = [(self.dataloader, self.evaluator)]
        for dataloader, evaluator in rest:
            if isinstance(dataloader, dict):
                dataloader = self.runner.build_dataloader(dataloader, seed=self.runner.seed)
            evaluator = self.runner.build_evaluator(evaluator)
            evaluator.dataset_meta = getattr(dataloader.dataset, 'metainfo', None)
            self.pairs.append((dataloader, evaluator))
        self.details: dict[str, Any] = {}
        self._refuse_other_trial()
        for dataloader, evaluator in self.pairs:
            for metric in evaluator.metrics:
                if hasattr(metric, 'validate'):
                    metric.validate(dataloader.dataset)

    def _refuse_other_trial(self) -> None:
        """Refuses a model whose training identities are tested, because they belong to another trial (RegDB)."""
        runner = self.runner
        loaded = f'{runner._load_from or "the checkpoint"} was trained'
        sources = {loaded: getattr(runner, 'loaded_meta', {}).get('dataset_meta')}
        if isinstance(runner._train_loop, BaseLoop):  # what training begins with may have seen another trial, too
            sources['the model is trained'] = getattr(runner.train_dataloader.dataset, 'metainfo', None)
        # A checkpoint may hold anything there.
        trials = {what: meta.get('trial') if isinstance(meta, dict) else None for what, meta in sources.items()}
        for (dataloader, _), (what, trained) in itertools.product(self.pairs, trials.items()):
            meta = getattr(dataloader.dataset, 'metainfo', {})
            tested = meta.get('trial')
            if (
                not all(isinstance(trial, int) for trial in (trained, tested))
                or trained == tested
                or runner.cfg.get('allow_trial_mismatch', False)
            ):
                continue
            raise ValueError(
                f'{what} on trial {trained}, but trial {tested} of {meta.get("dataset_name")} is to be tested, which '
                f'has identities of the training among its own; set trial={trained} of the test data set, or accept '
                'it with --allow-trial-mismatch of tools/test.py'
            )

    def _evaluate_all(self) -> dict[str, float]:
        self._refuse_other_trial()
        model = self.runner.model.module if is_model_wrapper(self.runner.model) else self.runner.model
        model.eval()
        parts: list[tuple[str, dict[str, float]]] = []
        self.details = {}
        for dataloader, evaluator in self.pairs:
            self.dataloader, self.evaluator = dataloader, evaluator
            for metric in self.evaluator.metrics:
                if hasattr(metric, 'matcher'):
                    metric.matcher = model.matcher
            for index, batch in enumerate(self.dataloader):
                self.run_iter(index, batch)
            metrics = self.evaluator.evaluate(len(self.dataloader.dataset))
            parts.append((name_of(evaluator), metrics))
            for metric in evaluator.metrics:
                self.details.update(getattr(metric, 'details', {}))
        self.dataloader, self.evaluator = self.pairs[0]
        results = join_metrics(parts)
        self.runner.logger.info('\n' + metric_table(results))
        return results


def name_of(evaluator: Evaluator) -> str:
    """Gives the name with which the keys of an evaluator begin.

    Args:
        evaluator (Evaluator): The evaluator of a test set.

    Returns:
        str: That of its first re-ID metric; empty without one.
    """
    return next((metric.name for metric in evaluator.metrics if hasattr(metric, 'matcher')), '')


@LOOPS.register_module()
class ReIDValLoop(_SeveralTestSets, ValLoop):
    """Validation over one or several test sets.

    Args:
        runner (Runner): The runner.
        dataloader (dict | list[dict]): ``val_dataloader`` of the config.
        evaluator (dict | list): ``val_evaluator``: one per dataloader, or one config for all.
        fp16 (bool): Extract features under autocast. Defaults to False.
    """

    def __init__(self, runner: Runner, dataloader: Any, evaluator: Any, fp16: bool = False) -> None:
        first, *rest = pair_evaluators(dataloader, evaluator)
        super().__init__(runner, *first, fp16=fp16)
        self._init_pairs(rest)

    def run(self) -> dict[str, float]:
        """Validates; the hooks around it run once, whatever the number of test sets."""
        self.runner.call_hook('before_val')
        self.runner.call_hook('before_val_epoch')
        metrics = self._evaluate_all()
        self.runner.call_hook('after_val_epoch', metrics=metrics)
        self.runner.call_hook('after_val')
        return metrics


@LOOPS.register_module()
class ReIDTestLoop(_SeveralTestSets, TestLoop):
    """Test over one or several test sets.

    Args:
        runner (Runner): The runner.
        dataloader (dict | list[dict]): ``test_dataloader`` of the config.
        evaluator (dict | list): ``test_evaluator``: one per dataloader, or one config for all.
        fp16 (bool): Extract features under autocast. Defaults to False.
    """

    def __init__(self, runner: Runner, dataloader: Any, evaluator: Any, fp16: bool = False) -> None:
        first, *rest = pair_evaluators(dataloader, evaluator)
        super().__init__(runner, *first, fp16=fp16)
        self._init_pairs(rest)

    def run(self) -> dict[str, float]:
        """Tests; the hooks around it run once, whatever the number of test sets."""
        self.runner.call_hook('before_test')
        self.runner.call_hook('before_test_epoch')
        metrics = self._evaluate_all()
        self.runner.call_hook('after_test_epoch', metrics=metrics)
        self.runner.call_hook('after_test')
        return metrics
