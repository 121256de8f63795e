# Copyright (c) mmreid contributors. All rights reserved.
"""The tables of finished runs."""

from claims.results import spread, table
from ecn_configs import Row
from ecn_runs import FLOORS, METRICS

STYLES = {
    'E+N': 'none',
    'E+C+N, colour statistics': 'colour',
    'E+C+N, StarGAN': 'generated',
    'E+C+N': 'drawn by the world',
}


def of_row(lines: list[dict], name: str) -> dict[int, dict]:
    """Gives the runs of a row by their seeds."""
    return {line['seed']: line for line in lines if line['row'] == name}


def scores(lines: list[dict]) -> list[str]:
    """Writes all metrics."""
    return [spread([line[metric] for line in lines]) for metric in METRICS]


def floor_rows(lines: list[dict], blanks: int, behind: int) -> list[list[str]]:
    """Makes the first rows of a table.

    Args:
        lines (list[dict]): Finished runs.
        blanks (int): Columns between name and metrics.
        behind (int): Columns behind the metrics.
    """
    found = list(of_row(lines, 'floors').values())
    filled = [[name, *[''] * blanks, *scores([line[name] for line in found])] for name in FLOORS if found]
    return [[*row, *[''] * behind] for row in filled]


def gain(lines: list[dict], name: str, over: str) -> str:
    """Writes by how much mAP a row is above another one, seed by seed."""
    ours, theirs = of_row(lines, name), of_row(lines, over)
    values = [ours[seed]['mAP'] - theirs[seed]['mAP'] for seed in ours if seed in theirs]
    return spread(values, '+.1f') if values and name != over else ''


def last(runs: dict[int, dict], name: str, form: str = '.0f') -> str:
    """Writes a number of the last epoch, where there is one."""
    values = [run['epochs'][-1][name] for run in runs.values() if name in run['epochs'][-1]]
    return spread(values, form) if values else ''


def ladder(rows: list[Row], lines: list[dict]) -> str:
    """Makes the table of the ladder, or of neighbours."""
    base = rows[0].name
    text = [['', 'seconds', *METRICS, f'mAP - {base}', 'right neighbours, %', 'by another camera', 'seeds']]
    text += floor_rows(lines, 1, 4)
    for row in rows:
        runs = of_row(lines, row.name)
        if runs:
            cells = [spread([run['train_seconds'] for run in runs.values()], '.0f'), *scores(list(runs.values()))]
            cells += [gain(lines, row.name, base), last(runs, 'precision'), last(runs, 'other_camera')]
            text.append([row.name, *cells, str(len(runs))])
    return '\n'.join([table(text), *learned_neighbours(rows, lines), '', cost(rows, lines)])


def learned_neighbours(rows: list[Row], lines: list[dict]) -> list[str]:
    """Says what learned neighbours choose in the end, for an image."""
    found = []
    for row in rows:
        runs = of_row(lines, row.name)
        if count := last(runs, 'chosen', '.1f'):
            share = last(runs, 'chosen_precision')
            right = f'{share} % of them right' if share else 'so none right'
            graph, plain = (last(runs, f'held_precision_{name}') for name in ('gpp', 'knn'))
            found += [
                f'{row.name} chooses in the end {count} neighbours for an image, {right}.',
                f'On source people held out its graph is right in {graph} %, plain nearest neighbours in {plain} % at '
                'the same recall.  ',
            ]
    return ['', *found] if found else []


def styles(rows: list[Row], lines: list[dict]) -> str:
    """Makes the table of styles."""
    base = rows[0].name
    text = [['styles', 'distance', *METRICS, 'mAP - none', 'right neighbours, %', 'by another camera', 'seeds']]
    text += floor_rows(lines, 1, 4)
    made = list(of_row(lines, 'StarGAN').values())
    keys = {'E+N': 'unchanged'} | STYLES
    for row in rows:
        runs = of_row(lines, row.name)
        if runs:
            distances = [line['distances'][keys[row.name]] for line in made if keys[row.name] in line['distances']]
            cells = [spread(distances) if distances else '', *scores(list(runs.values())), gain(lines, row.name, base)]
            cells += [last(runs, 'precision'), last(runs, 'other_camera')]
            text.append([STYLES[row.name], *cells, str(len(runs))])
    return '\n'.join([table(text), '', cost(rows, lines), *gan_cost(made)])


def gan_cost(made: list[dict]) -> list[str]:
    """Says what the camera-style networks have taken."""
    if not made:
        return []
    return ['', f'A camera-style network and its images: {spread([line["cpu"] for line in made], ".0f")} seconds.']


def cost(rows: list[Row], lines: list[dict]) -> str:
    """Says what a table has taken."""
    used = [run['cpu'] for row in rows for run in of_row(lines, row.name).values()]
    more = [line['cpu'] for line in lines if line['row'] in ('people', 'floors')]
    return (
        f'Cost: {sum(used) / 60:.0f} minutes of one processor for {len(used)} trainings with their tests, and '
        f'{sum(more) / 60:.0f} for drawing the people and the floors, which the tables share.'
    )


reports = dict(ladder=ladder, styles=styles, neighbours=ladder)
