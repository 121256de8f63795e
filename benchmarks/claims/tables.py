# Copyright (c) mmreid contributors. All rights reserved.
"""Parts that the tables of all comparisons share."""

from collections.abc import Callable, Iterable

from claims.floors import FLOORS
from claims.results import spread, table


def of_row(lines: list[dict], name: str) -> dict[int, dict]:
    """Gives the runs of a row by their seeds."""
    return {line['seed']: line for line in lines if line['row'] == name}


def floor_rows(
    lines: list[dict], scores: Callable[[list[dict]], list[str]], blanks: int, behind: int = 0
) -> list[list[str]]:
    """Makes the first rows of a table.

    Args:
        lines (list[dict]): Finished runs.
        scores (Callable[[list[dict]], list[str]]): Writes the metrics of some runs.
        blanks (int): Columns between name and metrics.
        behind (int): Columns behind the metrics. Defaults to 0.
    """
    found = list(of_row(lines, 'floors').values())
    return [[name, *[''] * blanks, *scores([run[name] for run in found]), *[''] * behind] for name in FLOORS if found]


def gain(lines: list[dict], name: str, over: str, group: str | None = None) -> str:
    """Writes by how much mAP a row is above another one, seed by seed; nothing for the row itself.

    Args:
        lines (list[dict]): Finished runs.
        name (str): The row.
        over (str): The other one.
        group (str, optional): The group of metrics to compare, where a run has several.
    """
    ours, theirs = (
        {seed: (run[group] if group else run)['mAP'] for seed, run in of_row(lines, row).items()}
        for row in (name, over)
    )
    values = [ours[seed] - theirs[seed] for seed in ours if seed in theirs]
    return spread(values, '+.1f') if values and name != over else ''


def floor_gain(lines: list[dict], name: str, floor: str) -> str:
    """Writes by how much mAP a row is above a floor, seed by seed.

    Args:
        lines (list[dict]): Finished runs.
        name (str): The row.
        floor (str): One of ``FLOORS``.
    """
    floors = of_row(lines, 'floors')
    values = [run['mAP'] - floors[seed][floor]['mAP'] for seed, run in of_row(lines, name).items() if seed in floors]
    return spread(values, '+.1f') if values else ''


def by_seed(lines: list[dict], rows: Iterable) -> str:
    """Makes a table of the mAP of each training.

    Args:
        lines (list[dict]): Finished runs.
        rows (Iterable): Rows of the table; each has a ``name``.
    """
    found = {row.name: of_row(lines, row.name) for row in rows}
    seeds = sorted({seed for runs in found.values() for seed in runs})
    text = [['mAP', *(f'world {seed}' for seed in seeds)]]
    for name, runs in found.items():
        if runs:
            text.append([name, *(f'{runs[seed]["mAP"]:.1f}' if seed in runs else '' for seed in seeds)])
    return table(text)


def cost(lines: list[dict], rows: Iterable) -> str:
    """Says what a table has taken.

    Args:
        lines (list[dict]): Finished runs.
        rows (Iterable): Rows of the table; each has a ``name``.
    """
    names = {row.name for row in rows}
    used = [line['cpu'] for line in lines if line['row'] in names]
    more = [line['cpu'] for line in lines if line['row'] in ('people', 'floors')]
    return (
        f'Cost: {sum(used) / 60:.0f} minutes of one processor for {len(used)} trainings with their tests, and '
        f'{sum(more) / 60:.0f} for people and floors, which the tables share.'
    )
