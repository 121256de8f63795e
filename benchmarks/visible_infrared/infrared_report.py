# Copyright (c) mmreid contributors. All rights reserved.
"""The table of finished runs."""

from claims.infrared_worlds import METRICS
from claims.results import spread, table
from claims.tables import by_seed, cost, floor_rows, gain, of_row
from infrared_configs import ALL_SHARED, Row


def scores(runs: list[dict]) -> list[str]:
    """Writes all metrics."""
    return [spread([run[name] for run in runs]) for name in METRICS]


def report(rows: list[Row], lines: list[dict]) -> str:
    """Makes the tables: means over the worlds, and each training."""
    text = [['', 'seconds', *METRICS, f'mAP - {ALL_SHARED}', 'by channel augmentation', 'worlds']]
    text += floor_rows(lines, scores, 1, 3)
    for row in rows:
        runs = list(of_row(lines, row.name).values())
        if runs:
            cells = [spread([run['train_seconds'] for run in runs], '.0f'), *scores(runs)]
            cells += [gain(lines, row.name, ALL_SHARED), gain(lines, row.name, row.plain) if row.plain else '']
            text.append([row.name, *cells, str(len(runs))])
    return '\n'.join([table(text), '', by_seed(lines, rows), '', cost(lines, rows)])
