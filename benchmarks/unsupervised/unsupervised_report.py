# Copyright (c) mmreid contributors. All rights reserved.
"""The table of finished runs."""

from claims.floors import FLOORS
from claims.results import spread, table
from claims.tables import by_seed, cost, floor_gain, floor_rows, gain, of_row
from unsupervised_configs import SOURCE_ONLY, Row
from unsupervised_runs import METRICS

START = FLOORS[-1]
LABELS = ('clusters', 'grouped', 'precision', 'recall')  # of the last labeling


def scores(runs: list[dict]) -> list[str]:
    """Writes all metrics."""
    return [spread([run[name] for run in runs]) for name in METRICS]


def report(rows: list[Row], lines: list[dict]) -> str:
    """Makes the tables: means over the worlds, and each training."""
    head = ['', 'seconds', *METRICS, f'mAP - {SOURCE_ONLY.name}', 'mAP - start']
    text = [[*head, 'clusters', 'images in them', 'precision, %', 'recall, %', 'worlds']]
    text += floor_rows(lines, scores, 1, 7)
    for row in rows:
        runs = list(of_row(lines, row.name).values())
        if runs:
            cells = [spread([run['train_seconds'] for run in runs], '.0f'), *scores(runs)]
            cells += [gain(lines, row.name, SOURCE_ONLY.name), floor_gain(lines, row.name, START)]
            last = [run['epochs'][-1] for run in runs if 'epochs' in run]
            for name in LABELS:
                values = [labels[name] for labels in last if name in labels]
                cells.append(spread(values, '.0f') if values else '')
            text.append([row.name, *cells, str(len(runs))])
    return '\n'.join([table(text), '', by_seed(lines, rows), '', cost(lines, rows)])
