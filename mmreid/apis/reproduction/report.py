# Copyright (c) mmreid contributors. All rights reserved.
"""Compares measured with reported numbers, and writes what was done into one page."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from mmreid.utils.json_text import is_number

from .kit import Kit


@dataclass(frozen=True)
class Comparison:
    """A number of the authors and ours.

    Attributes:
        dataset (str): The data set and its protocol.
        metric (str): Such as ``'mAP'``.
        reported (float): Theirs, in percent.
        measured (float): Ours, in percent; the mean over trials.
        spread (float | None): Standard deviation over trials; None for a single one.
        reached (bool): Whether ours is at most the tolerance below theirs.
    """

    dataset: str
    metric: str
    reported: float
    measured: float
    spread: float | None
    reached: bool


def compare(kit: Kit, trials: Sequence[Mapping[str, float]]) -> list[Comparison]:
    """Compares the results of one or several trials with the reported numbers.

    Args:
        kit (Kit): What was reproduced.
        trials (Sequence[Mapping[str, float]]): Results of ``tools/test.py``, in percent by key.

    Raises:
        ValueError: If a result is missing or no number.
    """
    rows = []
    for part in kit.reported:
        for metric, reported in part.metrics.items():
            key = f'{part.place}/{metric}'
            values = [results.get(key) for results in trials]
            if not values or not all(is_number(value) and isfinite(value) for value in values):
                raise ValueError(f'the results of the test have no number {key}; remove them and run again')
            measured = statistics.mean(values)
            spread = statistics.stdev(values) if len(values) > 1 else None
            rows.append(
                Comparison(part.dataset, metric, reported, measured, spread, measured >= reported - kit.tolerance)
            )
    return rows


def verdict(kit: Kit, rows: Sequence[Comparison], rehearsal: bool) -> str:
    """Says in a sentence what came out."""
    if rehearsal:
        return 'A rehearsal on drawn people, two epochs long: every stage works, and the numbers mean nothing.'
    if not rows:
        return 'There are no reported numbers to compare with.'
    missed = [row for row in rows if not row.reached]
    if not missed:
        return f'Reached: all {len(rows)} numbers are at most {kit.tolerance:g} points below the reported ones.'
    worst = max(missed, key=lambda row: row.reported - row.measured)
    return (
        f'Not reached: {len(missed)} of {len(rows)} numbers are more than {kit.tolerance:g} points below the reported '
        f'ones, {worst.metric} on {worst.dataset} by {worst.reported - worst.measured:.1f}.'
    )


def markdown_report(
    kit: Kit,
    rows: Sequence[Comparison],
    trials: Mapping[str, Mapping[str, float]],
    facts: Mapping[str, str],
    rehearsal: bool = False,
) -> str:
    """Writes the page.

    Args:
        kit (Kit): What was reproduced.
        rows (Sequence[Comparison]): See :func:`compare`.
        trials (Mapping[str, Mapping[str, float]]): All results of each trial by its name.
        facts (Mapping[str, str]): What else a reader must know, such as commit and machine, by name.
        rehearsal (bool): Whether drawn people were used. Defaults to False.
    """
    lines = [f'# {kit.name}', '', verdict(kit, rows, rehearsal), '']
    if rows:
        lines += ['| data set | metric | reported | measured | difference |', '| --- | --- | --- | --- | --- |']
        lines += map(_row, rows)
        sources = dict.fromkeys(part.source for part in kit.reported)
        lines += ['', f'Reported: {", ".join(sources)}. Measured: this run.', '']
    lines += ['| what | |', '| --- | --- |', *(f'| {name} | {text} |' for name, text in facts.items()), '']
    for name, results in trials.items():
        numbers = [f'| {key} | {value:.2f} |' for key, value in results.items() if isinstance(value, float)]
        lines += [f'## All results{name and f", {name}"}', '', '| metric | percent |', '| --- | --- |', *numbers, '']
    return '\n'.join(lines)


def _row(row: Comparison) -> str:
    measured = f'{row.measured:.2f}' + (f' ± {row.spread:.2f}' if row.spread is not None else '')
    return f'| {row.dataset} | {row.metric} | {row.reported:g} | {measured} | {row.measured - row.reported:+.2f} |'
