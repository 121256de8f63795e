# Copyright (c) mmreid contributors. All rights reserved.
"""Validation and test loops over one or several test sets, with one table at the end."""

import copy
from typing import Any

from mmengine.evaluator import Evaluator
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner, TestLoop, ValLoop
from terminaltables import AsciiTable

from mmreid.registry import LOOPS


def _pair(dataloaders: Any, evaluators: Any) -> list[tuple[Any, Any]]:
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
    one, follow.
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
        for dataloader, evaluator in self.pairs:
            for metric in evaluator.metrics:
                if hasattr(metric, 'validate'):
                    metric.validate(dataloader.dataset)

    def _evaluate_all(self) -> dict[str, float]:
        model = self.runner.model.module if is_model_wrapper(self.runner.model) else self.runner.model
        model.eval()
        results: dict[str, float] = {}
        for dataloader, evaluator in self.pairs:
            self.dataloader, self.evaluator = dataloader, evaluator
            for metric in self.evaluator.metrics:
                if hasattr(metric, 'matcher'):
                    metric.matcher = model.matcher
            for index, batch in enumerate(self.dataloader):
                self.run_iter(index, batch)
            metrics = self.evaluator.evaluate(len(self.dataloader.dataset))
            clash = sorted(results.keys() & metrics.keys())
            if clash:
                raise ValueError(
                    f"two test sets report '{clash[0]}'; give their data sets different names (dataset.name=...)"
                )
            results.update(metrics)
        self.dataloader, self.evaluator = self.pairs[0]
        self.runner.logger.info('\n' + metric_table(results))
        return results


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
        first, *rest = _pair(dataloader, evaluator)
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
        first, *rest = _pair(dataloader, evaluator)
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


def metric_table(metrics: dict[str, float]) -> str:
    """Draws metrics as a table with one row per test set.

    Args:
        metrics (dict[str, float]): Values under ``<data set>/<name>``.

    Returns:
        str: The table.
    """
    rows: dict[str, dict[str, str]] = {}
    columns: list[str] = []
    for key, value in metrics.items():
        row, _, name = key.rpartition('/')
        rows.setdefault(row, {})[name] = f'{value:.2f}' if isinstance(value, float) else str(value)
        if name not in columns:
            columns.append(name)
    cells = [[row, *(values.get(name, '') for name in columns)] for row, values in rows.items()]
    return AsciiTable([['data set', *columns], *cells]).table
