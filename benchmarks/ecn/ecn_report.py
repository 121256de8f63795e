# Copyright (c) mmreid contributors. All rights reserved.
"""The tables of finished runs."""

from claims.results import spread, table
from claims.tables import cost, floor_rows, gain, of_row
from ecn_configs import Row
from ecn_runs import METRICS

STYLES = {
    'E+N': 'none',
    'E+C+N, color statistics': 'color',
    'E+C+N, StarGAN': 'generated',
    'E+C+N': 'drawn by the world',
}


def scores(lines: list[dict]) -> list[str]:
    """Writes all metrics."""
    return [spread([line[metric] for line in lines]) for metric in METRICS]


def last(runs: dict[int, dict], name: str, form: str = '.0f') -> str:
    """Writes a number of the last epoch, where there is one."""
    values = [run['epochs'][-1][name] for run in runs.values() if name in run['epochs'][-1]]
    return spread(values, form) if values else ''


def first_used(runs: dict[int, dict]) -> str:
    """Writes from which epoch on neighbors were used, seed by seed."""
    starts = [
        next((str(number) for number, epoch in enumerate(run['epochs'], 1) if epoch.get('used')), 'never')
        for run in runs.values()
    ]
    return ', '.join(starts) if any(start != 'never' for start in starts) else ''


def long(rows: list[Row], lines: list[dict]) -> str:
    """Makes the table of the long ladder."""
    over = ('source only', 'E+C')
    text = [['', *METRICS, *(f'mAP - {name}' for name in over), 'neighbors from epoch', 'right neighbors, %', 'seeds']]
    text += floor_rows(lines, scores, 0, 5)
    for row in rows:
        runs = of_row(lines, row.name)
        if runs:
            cells = [*scores(list(runs.values())), *(gain(lines, row.name, name) for name in over)]
            text.append([row.name, *cells, first_used(runs), last(runs, 'precision'), str(len(runs))])
    return '\n'.join([table(text), *learned_neighbors(rows, lines), '', cost(lines, rows)])


def ladder(rows: list[Row], lines: list[dict]) -> str:
    """Makes the table of the ladder, or of neighbors."""
    base = rows[0].name
    text = [['', 'seconds', *METRICS, f'mAP - {base}', 'right neighbors, %', 'by another camera', 'seeds']]
    text += floor_rows(lines, scores, 1, 4)
    for row in rows:
        runs = of_row(lines, row.name)
        if runs:
            cells = [spread([run['train_seconds'] for run in runs.values()], '.0f'), *scores(list(runs.values()))]
            cells += [gain(lines, row.name, base), last(runs, 'precision'), last(runs, 'other_camera')]
            text.append([row.name, *cells, str(len(runs))])
    return '\n'.join([table(text), *learned_neighbors(rows, lines), '', cost(lines, rows)])


def learned_neighbors(rows: list[Row], lines: list[dict]) -> list[str]:
    """Says what learned neighbors choose in the end, for an image."""
    found = []
    for row in rows:
        runs = of_row(lines, row.name)
        if count := last(runs, 'chosen', '.1f'):
            precision = last(runs, 'chosen_precision')
            right = f'{precision} % of them right' if precision else 'so none right'
            graph, plain = (last(runs, f'held_precision_{name}') for name in ('gpp', 'knn'))
            found.append(f'{row.name} chooses in the end {count} neighbors for an image, {right}.')
            if graph:
                found.append(
                    f'On source people held out its graph is right in {graph} %, plain nearest neighbors in {plain} % '
                    'at the same recall.  '
                )
    return ['', *found] if found else []


def styles(rows: list[Row], lines: list[dict]) -> str:
    """Makes the table of styles."""
    base = rows[0].name
    text = [['styles', 'distance', *METRICS, 'mAP - none', 'right neighbors, %', 'by another camera', 'seeds']]
    text += floor_rows(lines, scores, 1, 4)
    made = list(of_row(lines, 'StarGAN').values())
    keys = {'E+N': 'unchanged'} | STYLES
    for row in rows:
        runs = of_row(lines, row.name)
        if runs:
            distances = [line['distances'][keys[row.name]] for line in made if keys[row.name] in line['distances']]
            cells = [spread(distances) if distances else '', *scores(list(runs.values())), gain(lines, row.name, base)]
            cells += [last(runs, 'precision'), last(runs, 'other_camera')]
            text.append([STYLES[row.name], *cells, str(len(runs))])
    return '\n'.join([table(text), '', cost(lines, rows), *gan_cost(made)])


def gan_cost(made: list[dict]) -> list[str]:
    """Says what the camera-style networks have taken."""
    if not made:
        return []
    return ['', f'A camera-style network and its images: {spread([line["cpu"] for line in made], ".0f")} seconds.']


reports = dict(ladder=ladder, styles=styles, neighbors=ladder, long=long)
