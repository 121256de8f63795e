# Copyright (c) mmreid contributors. All rights reserved.
"""Joins the values of several test sets: one dict, averages, one table."""

from collections.abc import Sequence

from terminaltables import AsciiTable


def join_metrics(parts: Sequence[tuple[str, dict[str, float]]]) -> dict[str, float]:
    """Joins the values of test sets and, if there are several, adds averages.

    Values that all test sets have are averaged as ``average/<metric>`` (``average/<row>/<metric>`` for a metric with
    rows); counts are not averaged.

    Args:
        parts (Sequence[tuple[str, dict[str, float]]]): Name and values of each test set; keys begin with the name.

    Returns:
        dict[str, float]: All values.

    Raises:
        ValueError: If two test sets report the same key.
    """
    joined: dict[str, float] = {}
    for _, metrics in parts:
        _add(joined, metrics)
    if len(parts) > 1:
        values = [{key.removeprefix(name): value for key, value in metrics.items()} for name, metrics in parts]
        shared = [
            key for key in values[0] if all(key in of_set and isinstance(of_set[key], float) for of_set in values)
        ]
        _add(joined, {f'average{key}': sum(of_set[key] for of_set in values) / len(values) for key in shared})
    return joined


def _add(joined: dict[str, float], metrics: dict[str, float]) -> None:
    clash = sorted(joined.keys() & metrics.keys())
    if clash:
        raise ValueError(f"two test sets report '{clash[0]}'; give their data sets different names (dataset.name=...)")
    joined.update(metrics)


def metric_table(metrics: dict[str, float]) -> str:
    """Formats metrics as a table with one row per test set.

    Args:
        metrics (dict[str, float]): Values under ``<data set>/<name>``, or ``<data set>/<row>/<name>``.

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
