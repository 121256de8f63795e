# Copyright (c) mmreid contributors. All rights reserved.
"""Checks before training that ``save_best`` names metrics that the validation reports."""

import difflib
from collections.abc import Iterable, Sequence

from mmengine.evaluator import Evaluator

from mmreid.evaluation.metrics import FeatureMetric
from mmreid.evaluation.metrics.summary import join_metrics


def check_save_best(wanted: Sequence[str], evaluators: Iterable[Evaluator]) -> None:
    """Refuses a name that no validation will report, before the first validation ends in a ``KeyError``.

    Args:
        wanted (Sequence[str]): ``save_best``; ``'auto'`` takes any value.
        evaluators (Iterable[Evaluator]): Evaluators of the validation sets. Nothing is refused if one has metrics of
            other projects, whose keys are unknown.

    Raises:
        ValueError: Naming what was probably meant.
    """
    metrics = [evaluator.metrics for evaluator in evaluators]
    if not all(isinstance(metric, FeatureMetric) for of_set in metrics for metric in of_set):
        return
    parts = [(of_set[0].name, dict.fromkeys([key for metric in of_set for key in metric.keys], 0.0))
             for of_set in metrics]  # fmt: skip
    known = list(join_metrics(parts))
    for name in wanted:
        if name not in ('auto', *known):
            ends = [key for key in known if key.endswith(f'/{name}')]
            near = (ends or difflib.get_close_matches(name, known, 1, 0.6) or known)[0]
            raise ValueError(
                f"save_best='{name}' of default_hooks.checkpoint is not a value that the validation reports; did you "
                f"mean '{near}'? It reports {', '.join(known)}"
            )
