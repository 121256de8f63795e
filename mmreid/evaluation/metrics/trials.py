# Copyright (c) mmreid contributors. All rights reserved.
"""The reported values of a row: means over its trials."""

from collections.abc import Sequence
from statistics import mean, stdev
from typing import Any

from mmreid.evaluation.functional import RankingResult


def value_names(cmc_topk: Sequence[int], roc_fpr: Sequence[float]) -> list[str]:
    """Returns the names of the values of a row, in the order of :func:`summarize_trials`."""
    return ['mAP', 'mINP', *(f'Rank-{k}' for k in cmc_topk), *(f'TPR@{fpr:g}' for fpr in roc_fpr)]


def summarize_trials(
    name: str, trials: Sequence[RankingResult], cmc_topk: Sequence[int], roc_fpr: Sequence[float]
) -> tuple[dict[str, float], dict[str, Any]]:
    """Averages the values of all trials of a row.

    Args:
        name (str): Name of the row.
        trials (Sequence[RankingResult]): The results of its trials.
        cmc_topk (Sequence[int]): Which Rank-k to report.
        roc_fpr (Sequence[float]): At which false positive rates to report the true positive rate.

    Returns:
        tuple[dict[str, float], dict[str, Any]]: ``<name>/<value>`` in percent and counts of queries; and, where there
        are several trials, ``<name>/<value>_trials`` and ``<name>/<value>_std``.

    Raises:
        ValueError: If no query can be scored.
    """
    first = trials[0]
    if not first.num_valid:
        raise ValueError(f"no query of '{name}' can be scored: none of {len(first.ap)} has a match left")
    metrics, details = {}, {}
    table = [_values(result, cmc_topk, roc_fpr) for result in trials]
    for key, *values in zip(value_names(cmc_topk, roc_fpr), *table, strict=True):
        metrics[f'{name}/{key}'] = mean(values)
        if len(values) > 1:
            details[f'{name}/{key}_trials'] = values
            details[f'{name}/{key}_std'] = stdev(values)
    return metrics | {f'{name}/num_query': len(first.ap), f'{name}/num_valid_query': first.num_valid}, details


def _values(result: RankingResult, cmc_topk: Sequence[int], roc_fpr: Sequence[float]) -> list[float]:
    cmc = result.cmc
    fractions = [result.mean_ap, result.mean_inp, *(float(cmc[k - 1]) for k in cmc_topk)]
    return [100 * value for value in (*fractions, *(result.roc.tpr(fpr) for fpr in roc_fpr))]
