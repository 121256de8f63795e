# Copyright (c) mmreid contributors. All rights reserved.
"""The tables of finished runs."""

from baseline_configs import BASELINE, RESNET18, Row
from baseline_runs import METRICS
from claims.results import spread, table
from claims.tables import cost, floor_rows, gain, of_row

NUMBERS = dict(acc='.0f', emb_dist='.2f')  # at the end of training, and how they are written


def scores(runs: list[dict]) -> list[str]:
    """Writes all metrics."""
    return [spread([run[name] for run in runs]) for name in METRICS]


def losses(rows: list[Row], lines: list[dict]) -> str:
    """Makes the table of losses and necks."""
    head = ['', *METRICS, f'mAP - {BASELINE.name}', 'mAP before the norm', 'accuracy, %', 'distance', 'seeds']
    text = [head, *floor_rows(lines, scores, 0, 5)]
    for row in rows:
        runs = list(of_row(lines, row.name).values())
        if runs:
            cells = [
                *scores(runs),
                gain(lines, row.name, BASELINE.name),
                spread([run['before']['mAP'] for run in runs]),
            ]
            cells += [spread([run['last'][name] for run in runs], form) for name, form in NUMBERS.items()]
            text.append([row.name, *cells, str(len(runs))])
    return '\n'.join([table(text), '', cost(lines, rows)])


def backbones(rows: list[Row], lines: list[dict]) -> str:
    """Makes the table of backbones."""
    head = ['', 'parameters, M', 'ms', 'iterations', 'seconds', *METRICS, f'mAP - {RESNET18.name}']
    text = [[*head, 'accuracy, %', 'untrained', 'seeds'], *floor_rows(lines, scores, 4, 4)]
    for row in rows:
        runs = list(of_row(lines, row.name).values())
        timed = [line for line in lines if line['row'] == time_of(row)]
        if runs and timed:
            counts = [f'{timed[-1]["parameters"] / 1e6:.2f}', f'{timed[-1]["ms"]:.0f}', str(runs[-1]['iterations'])]
            cells = [*counts, spread([run['train_seconds'] for run in runs], '.0f'), *scores(runs)]
            cells += [
                gain(lines, row.name, RESNET18.name),
                spread([run['last']['acc'] for run in runs], NUMBERS['acc']),
            ]
            cells.append(spread([run['untrained']['mAP'] for run in runs]))
            text.append([row.name, *cells, str(len(runs))])
    timing = sum(line['cpu'] for line in lines if line['row'].startswith('time of')) / 60
    return '\n'.join([table(text), '', f'{cost(lines, rows)} Timing the iterations: {timing:.0f}.'])


def time_of(row: Row) -> str:
    """Names the line that holds the time of a row's iteration."""
    return f'time of {row.name}'


reports = dict(losses=losses, backbones=backbones)
