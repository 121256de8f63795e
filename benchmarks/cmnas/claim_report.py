# Copyright (c) mmreid contributors. All rights reserved.
"""Tables and an image of finished runs."""

from math import sqrt
from pathlib import Path
from statistics import mean, stdev

import matplotlib
from claims.infrared_worlds import METRICS
from claims.results import spread, table

matplotlib.use('Agg')
from matplotlib import pyplot as plt  # noqa: E402

BASELINE = 'all shared'
BEST_MANUAL = 'stem to stage 3'
# Searched minus these was named before the first run.
NAMED = (BEST_MANUAL, 'all split', 'all shared', 'random')

STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)  # 97.5 % quantile for 2, 3, ... 10 worlds

Runs = dict[tuple[int, int], dict]  # world and training seed to a training


def group(lines: list[dict], order: list[str]) -> dict[str, Runs]:
    """Puts trainings into rows.

    Args:
        lines (list[dict]): Finished runs.
        order (list[str]): The rows that there may be, in their order.

    Returns:
        dict[str, Runs]: Row to its runs; rows without a run are left out.
    """
    rows: dict[str, Runs] = {row: {} for row in order}
    for line in lines:
        if 'mAP' in line:
            rows[line['row']][line['seed'], line['training']] = line
    return {row: runs for row, runs in rows.items() if runs}


def by_world(runs: Runs, metric: str) -> list[float]:
    """Gives the mean of a metric over the trainings of each world."""
    worlds = sorted({world for world, _ in runs})
    return [mean(run[metric] for (own, _), run in runs.items() if own == world) for world in worlds]


def differences(runs: Runs, others: Runs) -> list[float]:
    """Gives, for each world, the mean difference in mAP over the training seeds that both rows have."""
    worlds = sorted({world for world, _ in runs.keys() & others.keys()})
    return [
        mean(runs[pair]['mAP'] - others[pair]['mAP'] for pair in runs.keys() & others.keys() if pair[0] == world)
        for world in worlds
    ]


def interval(values: list[float]) -> str:
    """Writes the mean with Student's 95 % interval over the values."""
    if len(values) < 2:
        return f'{mean(values):+.1f}' if values else ''
    half = STUDENT[len(values) - 2] * stdev(values) / sqrt(len(values))
    return f'{mean(values):+.1f} ({mean(values) - half:+.1f} to {mean(values) + half:+.1f})'


def report(lines: list[dict], order: list[str], floor_names: tuple[str, ...]) -> str:
    """Makes all tables.

    Args:
        lines (list[dict]): Finished runs.
        order (list[str]): See :func:`group`.
        floor_names (tuple[str, ...]): Names of the floors.

    Returns:
        str: Text.
    """
    rows = group(lines, order)
    searches = [line for line in lines if line['row'].startswith('search of ')]
    tables = [_results(rows, [line for line in lines if line['row'] == 'floors'], floor_names)]
    tables += [_named(rows), _worlds(rows)]
    if searches:
        tables += [_costs(rows, searches), _architectures(searches)]
    return '\n\n'.join(filter(None, tables))


def _results(rows: dict[str, Runs], floors: list[dict], floor_names: tuple[str, ...]) -> str:
    cells = [['', 'split norms', *METRICS, f'mAP - {BASELINE}', 'worlds', 'trainings']]
    for name in floor_names if floors else ():
        values = [spread([line[name][metric] for line in floors]) for metric in METRICS]
        cells.append([name, '', *values, '', str(len(floors)), ''])
    for row, runs in rows.items():
        counts = [split_count(run['norms']) for run in runs.values()]
        few, many = min(counts), max(counts)
        values = [spread(by_world(runs, metric)) for metric in METRICS]
        gain = interval(differences(runs, rows.get(BASELINE, {}))) if row != BASELINE else ''
        worlds = len({world for world, _ in runs})
        cells.append([row, f'{few}' if few == many else f'{few} to {many}', *values, gain, str(worlds), str(len(runs))])
    return _titled('In percent; mean and standard deviation over worlds, differences with 95 % intervals.', cells)


def _named(rows: dict[str, Runs]) -> str:
    found = [row for row in rows if row.startswith('searched')]
    cells = [['mAP, with 95 % interval over worlds', *(f'minus {other}' for other in NAMED)]]
    for row in found:
        cells.append([row, *(interval(differences(rows[row], rows.get(other, {}))) for other in NAMED)])
    return _titled('The comparisons that were named before the first run.', cells) if found else ''


def _worlds(rows: dict[str, Runs]) -> str:
    worlds = sorted({world for runs in rows.values() for world, _ in runs})
    cells = [['mAP', *(f'world {world}' for world in worlds)]]
    for row, runs in rows.items():
        by = [[runs[pair]['mAP'] for pair in sorted(runs) if pair[0] == world] for world in worlds]
        cells.append([row, *(', '.join(f'{value:.1f}' for value in values) for values in by)])
    return _titled('Each training.', cells)


def _costs(rows: dict[str, Runs], searches: list[dict]) -> str:
    trainings = [run for runs in rows.values() for run in runs.values() if 'same_as' not in run]
    kinds = {name: [run for run in searches if run['row'] == name] for name in {run['row']: None for run in searches}}
    cells = [['', 'processor seconds', 'wall seconds', 'runs']]
    for name, runs in (*kinds.items(), ('a training and its test', trainings)):
        cells.append(
            [name, *(spread([run[clock] for run in runs], '.0f') for clock in ('cpu', 'wall')), str(len(runs))]
        )
    return _titled('Cost.', cells)


def _architectures(searches: list[dict]) -> str:
    stages = list(dict.fromkeys(name.split('.')[0] for name in searches[0]['norms']))
    cells = [['', 'world', *stages, 'all']]
    for line in sorted(searches, key=lambda line: (line['row'], line['seed'])):
        parts = [[state for name, state in line['norms'].items() if name.split('.')[0] == stage] for stage in stages]
        counts = [f'{part.count("split")} of {len(part)}' for part in parts]
        cells.append(
            [line['row'].removeprefix('search of '), str(line['seed']), *counts, str(split_count(line['norms']))]
        )
    return _titled('Searched: how many norms of the stem and of each stage are split.', cells)


def _titled(title: str, cells: list[list[str]]) -> str:
    return f'{title}\n\n{table(cells)}'


def split_count(norms: dict[str, str]) -> int:
    """Counts the split norms."""
    return sum(state == 'split' for state in norms.values())


def draw(lines: list[dict], order: list[str], path: Path) -> None:
    """Draws the mAP of each training, a row for each architecture, with its mean.

    Args:
        lines (list[dict]): Finished runs.
        order (list[str]): See :func:`group`.
        path (Path): Image to write.
    """
    rows = group(lines, order)
    figure, axes = plt.subplots(figsize=(7, 0.6 + 0.32 * len(rows)))
    for place, runs in enumerate(rows.values()):
        for (world, _), run in runs.items():
            axes.plot(run['mAP'], place, 'o', color=f'C{world % 10}', alpha=0.6)
        axes.plot(mean(by_world(runs, 'mAP')), place, 'k|', markersize=14)
    axes.set_yticks(range(len(rows)), list(rows))
    axes.invert_yaxis()
    axes.set_xlabel('mAP in percent; a color is a world, the bar the mean')
    axes.grid(axis='x', alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)
