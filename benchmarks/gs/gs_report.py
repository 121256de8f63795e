# Copyright (c) mmreid contributors. All rights reserved.
"""The tables of finished runs."""

from statistics import mean

from claims.results import spread, table
from claims.tables import cost, floor_rows, gain, of_row
from gs_configs import DOMAINS, Row
from gs_runs import METRICS

HEAD = [f'{domain}: {metric}' for domain in DOMAINS for metric in METRICS]


def scores(lines: list[dict]) -> list[str]:
    """Writes all metrics of all domains."""
    return [spread([line[domain][metric] for line in lines]) for domain in DOMAINS for metric in METRICS]


def sampling(rows: list[Row], lines: list[dict]) -> str:
    """Makes the table of samplers."""
    text = [['', 'iterations', 'seconds', 'near-duplicates, %', *HEAD, 'seeds'], *floor_rows(lines, scores, 3)]
    for row in rows:
        runs = list(of_row(lines, row.name).values())
        if runs:
            counts = [sum(epoch['iterations'] for epoch in run['epochs']) for run in runs]
            doubles = [mean(epoch['doubles'] for epoch in run['epochs'][row.pk_epochs :]) for run in runs]
            cells = [f'{mean(counts):.0f}', spread([run['train_seconds'] for run in runs], '.0f'), spread(doubles)]
            text.append([row.name, *cells, *scores(runs), str(len(runs))])
    return '\n'.join([table(text), *gains(rows, lines), cost(lines, rows)])


def gains(rows: list[Row], lines: list[dict]) -> list[str]:
    """Writes what the second row gains over the others, seed by seed."""
    if len(rows) < 2:
        return []
    found = []
    for other in (rows[0], *rows[2:]):
        gains = [gain(lines, rows[1].name, other.name, domain) for domain in DOMAINS]
        if all(gains):
            parts = '; '.join(f'{domain} {text}' for domain, text in zip(DOMAINS, gains, strict=True))
            found.append(f'mAP of {rows[1].name} above {other.name}: {parts}.')
    return ['', *(f'{line}  ' for line in found)]


def published(rows: list[Row], lines: list[dict]) -> str:
    """Makes the table of samplers under the published optimizer, with how far the loss was when they part."""
    head = ['', 'scale, parting', 'loss, parting', 'scale, end', 'loss, end', 'near-duplicates, %']
    text = [[*head, *HEAD, 'seeds'], *floor_rows(lines, scores, 5)]
    for row in rows:
        runs = list(of_row(lines, row.name).values())
        if runs:
            places = (row.pk_epochs - 1, -1)
            cells = [
                spread([run['epochs'][place][name] for run in runs]) for place in places for name in ('scale', 'loss')
            ]
            doubles = [mean(epoch['doubles'] for epoch in run['epochs'][row.pk_epochs :]) for run in runs]
            text.append([row.name, *cells, spread(doubles), *scores(runs), str(len(runs))])
    return '\n'.join([table(text), *gains(rows, lines), cost(lines, rows)])


def matchers(rows: list[Row], lines: list[dict]) -> str:
    """Makes the table of matchers, losses and K."""
    text = [['', 'start', 'loss', 'K', 'last loss', 'distance', *HEAD, 'seeds'], *floor_rows(lines, scores, 5)]
    for row in rows:
        runs = list(of_row(lines, row.name).values())
        if runs:
            last = [run['epochs'][-1] for run in runs]
            cells = [row.start, row.loss, str(row.images)]
            cells += [f'{mean(epoch[name] for epoch in last):.3f}' for name in ('loss', 'emb_dist')]
            text.append([row.name, *cells, *scores(runs), str(len(runs))])
    return '\n'.join([table(text), '', cost(lines, rows)])


def memory(rows: list[Row], lines: list[dict]) -> str:
    """Makes the table of times to equal mAP: the lower one of what the first row and the best other one reach."""
    base = {row.name: of_row(lines, row.name) for row in rows}
    text = [['', 'ms per iteration', 'best mAP', 'seconds to the mAP of both', 'images to it', *HEAD, 'seeds']]
    text += floor_rows(lines, scores, 4)
    first, *others = (base[row.name] for row in rows)
    targets = {}
    for seed, run in first.items():
        reached = [best(other[seed]) for other in others if seed in other]
        if reached:
            targets[seed] = min(best(run), max(reached))
    for row in rows:
        runs = base[row.name]
        if not runs:
            continue
        counts = [sum(epoch['iterations'] for epoch in run['epochs']) for run in runs.values()]
        speed = [1000 * run['train_seconds'] / count for run, count in zip(runs.values(), counts, strict=True)]
        ways = [first_at(run, targets[seed], row.batch) for seed, run in runs.items() if seed in targets]
        reached = [way for way in ways if way]
        cells = [spread(speed, '.0f'), spread([best(run) for run in runs.values()])]
        for place, form in ((0, '.0f'), (1, '.0f')):
            missing = f' ({len(ways) - len(reached)} never)' if len(reached) < len(ways) else ''
            cells.append((spread([way[place] for way in reached], form) if reached else '-') + missing)
        text.append([row.name, *cells, *scores(list(runs.values())), str(len(runs))])
    return '\n'.join([table(text), '', cost(lines, rows)])


def best(run: dict) -> float:
    """Gives the best mAP on the way."""
    return max(epoch['mAP'] for epoch in run['epochs'])


def first_at(run: dict, target: float, batch: int) -> tuple[float, int] | None:
    """Tells after which processor seconds and images a run has a mAP; None if it never has."""
    images = 0
    for epoch in run['epochs']:
        images += epoch['iterations'] * batch
        if epoch['mAP'] >= target:
            return epoch['seconds'], images
    return None


reports = dict(sampling=sampling, matchers=matchers, memory=memory, published=published)
