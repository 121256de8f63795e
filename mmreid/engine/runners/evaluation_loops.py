# Copyright (c) mmreid contributors. All rights reserved.
"""Validation and test loops over one or several test sets, with one table at the end."""

import itertools
from typing import Any

from mmengine.evaluator import Evaluator
from mmengine.runner import BaseLoop, Runner, TestLoop, ValLoop

from mmreid.engine.contracts import MultiTestSetLoop, loaded_meta_of
from mmreid.engine.test_sets import pair_evaluators
from mmreid.evaluation.metrics import FeatureMetric
from mmreid.evaluation.metrics.summary import join_metrics, metric_table
from mmreid.registry import LOOPS
from mmreid.utils.unwrap_model import unwrap_model


class _SeveralTestSets(MultiTestSetLoop):
    """What both loops share: the pairs of dataloader and evaluator, and the walk over them.

    ``self.dataloader`` and ``self.evaluator`` are the current pair, because MMEngine's loggers and hooks only know one.
    ``self.details`` joins :attr:`FeatureMetric.details` of all test sets.
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
            evaluator.dataset_meta = _metainfo_of(dataloader.dataset)
            self.pairs.append((dataloader, evaluator))
        self.details: dict[str, Any] = {}
        self._refuse_other_trial()
        for dataloader, evaluator in self.pairs:
            for metric in _feature_metrics(evaluator):
                metric.validate(dataloader.dataset)

    def _refuse_other_trial(self) -> None:
        """Refuses to test a model on its training identities, which happens when the trials differ (RegDB)."""
        runner = self.runner
        loaded = f'{runner._load_from or "the checkpoint"} was trained'
        sources = {loaded: loaded_meta_of(runner).get('dataset_meta')}
        if isinstance(runner._train_loop, BaseLoop):  # loaded weights may have seen another trial, too
            sources['the model is trained'] = _metainfo_of(runner.train_dataloader.dataset)
        # A checkpoint may hold anything there.
        trials = {what: meta.get('trial') if isinstance(meta, dict) else None for what, meta in sources.items()}
        for (dataloader, _), (what, trained) in itertools.product(self.pairs, trials.items()):
            meta = _metainfo_of(dataloader.dataset) or {}
            tested = meta.get('trial')
            if (
                not all(isinstance(trial, int) for trial in (trained, tested))
                or trained == tested
                or runner.cfg.get('allow_trial_mismatch', False)
            ):
                continue
            raise ValueError(
                f'{what} on trial {trained}, but trial {tested} of {meta.get("dataset_name")} is to be tested, which '
                f'includes training identities; set trial={trained} of the test data set, or accept '
                'it with --allow-trial-mismatch of tools/test.py'
            )

    def _evaluate_all(self) -> dict[str, float]:
        self._refuse_other_trial()
        model = unwrap_model(self.runner.model)
        model.eval()
        parts: list[tuple[str, dict[str, float]]] = []
        self.details = {}
        for dataloader, evaluator in self.pairs:
            self.dataloader, self.evaluator = dataloader, evaluator
            for metric in _feature_metrics(evaluator):
                metric.matcher = model.matcher
            for index, batch in enumerate(self.dataloader):
                self.run_iter(index, batch)
            metrics = self.evaluator.evaluate(len(self.dataloader.dataset))
            parts.append((name_of(evaluator), metrics))
            for metric in _feature_metrics(evaluator):
                self.details.update(metric.details)
        self.dataloader, self.evaluator = self.pairs[0]
        results = join_metrics(parts)
        self.runner.logger.info('\n' + metric_table(results))
        return results


def name_of(evaluator: Evaluator) -> str:
    """Returns the name of an evaluator's first re-ID metric, which begins its keys; empty without one."""
    return next((metric.name for metric in _feature_metrics(evaluator)), '')


def _feature_metrics(evaluator: Evaluator) -> list[FeatureMetric]:
    return [metric for metric in evaluator.metrics if isinstance(metric, FeatureMetric)]


def _metainfo_of(dataset: Any) -> dict | None:
    return getattr(dataset, 'metainfo', None)  # a data set of torch has none


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
