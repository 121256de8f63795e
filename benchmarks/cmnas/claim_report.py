# Copyright (c) mmreid contributors. All rights reserved.
"""Tables and an image of finished runs."""

import re
from pathlib import Path
from statistics import mean

import matplotlib
from claims.results import spread, table

matplotlib.use('Agg')
from matplotlib import pyplot as plt  # noqa: E402

METRICS = ('mAP', 'mINP', 'Rank-1')
BASELINE = 'all shared'


def group(lines: list[dict], order: list[str]) -> dict[str, dict[int, list[dict]]]:
    """Puts trainings into rows; the random architectures of a seed belong to one row.

    Args:
        lines (list[dict]): Finished runs.
        order (list[str]): The rows that there may be, in their order.

    Returns:
        dict[str, dict[int, list[dict]]]: Row to seed to its runs.
    """
    rows: dict[str, dict[int, list[dict]]] = {row: {} for row in order}
    for line in lines:
        if 'mAP' in line:
            rows[re.sub(r'^random \d+$', 'random', line['row'])].setdefault(line['seed'], []).append(line)
    return {row: runs for row, runs in rows.items() if runs}


def by_seed(runs: dict[int, list[dict]], metric: str) -> dict[int, float]:
    """Gives the value of a row for each seed; the mean, where a seed has several runs."""
    return {seed: mean(run[metric] for run in of_seed) for seed, of_seed in sorted(runs.items())}


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
    tables = [_results(rows, [line for line in lines if line['row'] == 'floors'], floor_names)]
    searches = sorted((line for line in lines if line['row'] == 'search'), key=lambda line: line['seed'])
    if searches:
        tables += [_costs(rows, searches), _architectures(searches)]
    return '\n\n'.join(tables)


def _results(rows: dict[str, dict[int, list[dict]]], floors: list[dict], floor_names: tuple[str, ...]) -> str:
    cells = [['', 'split norms', *METRICS, f'mAP - {BASELINE}', 'seeds']]
    for name in floor_names if floors else ():
        cells.append([name, '', *(spread([line[name][metric] for line in floors]) for metric in METRICS), '', ''])
    base = by_seed(rows.get(BASELINE, {}), 'mAP')
    for row, runs in rows.items():
        counts = [split_count(run['norms']) for of_seed in runs.values() for run in of_seed]
        few, many = min(counts), max(counts)
        gains = [value - base[seed] for seed, value in by_seed(runs, 'mAP').items() if seed in base]
        values = [spread(list(by_seed(runs, metric).values())) for metric in METRICS]
        gain = spread(gains, '+.1f') if gains and row != BASELINE else ''
        cells.append([row, f'{few}' if few == many else f'{few} to {many}', *values, gain, str(len(runs))])
    return _titled('In percent; mean and standard deviation over seeds.', cells)


def _costs(rows: dict[str, dict[int, list[dict]]], searches: list[dict]) -> str:
    trainings = [run for runs in rows.values() for of_seed in runs.values() for run in of_seed]
    cells = [['', 'processor seconds', 'wall seconds']]
    for name, runs in (('a search', searches), ('a training and its test', trainings)):
        cells.append([name, *(spread([run[clock] for run in runs]) for clock in ('cpu', 'wall'))])
    ratios = [mean(run[clock] for run in searches) / mean(run[clock] for run in trainings) for clock in ('cpu', 'wall')]
    cells.append(['search / training', *(f'{ratio:.2f}' for ratio in ratios)])
    return _titled('Cost.', cells)


def _architectures(searches: list[dict]) -> str:
    names = list(searches[0]['norms'])
    cells = [['norm', *(f'seed {line["seed"]}' for line in searches)]]
    for name in names:
        cells.append([name, *(f'{line["norms"][name]} {line["p_split"][name]:.2f}' for line in searches)])
    cells.append(['split', *(str(split_count(line['norms'])) for line in searches)])
    return _titled('Searched: choice and probability of split.', cells)


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
        for seed, of_seed in runs.items():
            axes.plot([run['mAP'] for run in of_seed], [place] * len(of_seed), 'o', color=f'C{seed}', alpha=0.6)
        axes.plot(mean(by_seed(runs, 'mAP').values()), place, 'k|', markersize=14)
    axes.set_yticks(range(len(rows)), list(rows))
    axes.invert_yaxis()
    axes.set_xlabel('mAP in percent; a color is a seed, the bar the mean')
    axes.grid(axis='x', alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)
