# Copyright (c) mmreid contributors. All rights reserved.
"""The tables of finished runs."""

from baseline_configs import BASELINE, RESNET18, Row
from baseline_runs import FLOORS, METRICS
from claims.results import spread, table

NUMBERS = dict(acc='.0f', emb_dist='.2f')  # at the end of training, and how they are written


def of_row(lines: list[dict], name: str) -> dict[int, dict]:
    """Gives the runs of a row by their seeds."""
    return {line['seed']: line for line in lines if line['row'] == name}


def scores(runs: list[dict]) -> list[str]:
    """Writes all metrics."""
    return [spread([run[name] for run in runs]) for name in METRICS]


def floor_rows(lines: list[dict], blanks: int, behind: int) -> list[list[str]]:
    """Makes the first rows of a table.

    Args:
        lines (list[dict]): Finished runs.
        blanks (int): Columns between name and metrics.
        behind (int): Columns behind the metrics.
    """
    found = list(of_row(lines, 'floors').values())
    return [[name, *[''] * blanks, *scores([run[name] for run in found]), *[''] * behind] for name in FLOORS if found]


def gain(lines: list[dict], row: Row, over: Row) -> str:
    """Writes by how much mAP a row is above another one, seed by seed."""
    ours, theirs = of_row(lines, row.name), of_row(lines, over.name)
    values = [ours[seed]['mAP'] - theirs[seed]['mAP'] for seed in ours if seed in theirs]
    return spread(values, '+.1f') if values and row.name != over.name else ''


def losses(rows: list[Row], lines: list[dict]) -> str:
    """Makes the table of losses and necks."""
    head = ['', *METRICS, f'mAP - {BASELINE.name}', 'mAP before the norm', 'accuracy, %', 'distance', 'seeds']
    text = [head, *floor_rows(lines, 0, 5)]
    for row in rows:
        runs = list(of_row(lines, row.name).values())
        if runs:
            cells = [*scores(runs), gain(lines, row, BASELINE), spread([run['before']['mAP'] for run in runs])]
            cells += [spread([run['last'][name] for run in runs], form) for name, form in NUMBERS.items()]
            text.append([row.name, *cells, str(len(runs))])
    return '\n'.join([table(text), '', cost(rows, lines)])


def backbones(rows: list[Row], lines: list[dict]) -> str:
    """Makes the table of backbones."""
    head = ['', 'parameters, M', 'ms', 'iterations', 'seconds', *METRICS, f'mAP - {RESNET18.name}']
    text = [[*head, 'accuracy, %', 'untrained', 'seeds'], *floor_rows(lines, 4, 4)]
    for row in rows:
        runs = list(of_row(lines, row.name).values())
        timed = [line for line in lines if line['row'] == time_of(row)]
        if runs and timed:
            counts = [f'{timed[-1]["parameters"] / 1e6:.2f}', f'{timed[-1]["ms"]:.0f}', str(runs[-1]['iterations'])]
            cells = [*counts, spread([run['train_seconds'] for run in runs], '.0f'), *scores(runs)]
            cells += [gain(lines, row, RESNET18), spread([run['last']['acc'] for run in runs], NUMBERS['acc'])]
            cells.append(spread([run['untrained']['mAP'] for run in runs]))
            text.append([row.name, *cells, str(len(runs))])
    return '\n'.join([table(text), '', cost(rows, lines)])


def time_of(row: Row) -> str:
    """Names the line that holds the time of a row's iteration."""
    return f'time of {row.name}'


def cost(rows: list[Row], lines: list[dict]) -> str:
    """Says what a table has taken."""
    names = {row.name for row in rows}
    used = [line['cpu'] for line in lines if line['row'] in names]
    more = [line['cpu'] for line in lines if line['row'] not in names]
    return (
        f'Cost: {sum(used) / 60:.0f} minutes of one processor for {len(used)} trainings with their tests, and '
        f'{sum(more) / 60:.0f} for people, floors and timing.'
    )


reports = dict(losses=losses, backbones=backbones)
