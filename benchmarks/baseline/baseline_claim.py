# Copyright (c) mmreid contributors. All rights reserved.
"""Compares losses and necks, and backbones at equal time, on procedural people with many near-duplicates.

``python benchmarks/baseline/baseline_claim.py losses --seeds 0 1 2`` draws people, trains, tests and prints a table;
the other table is ``backbones``. Finished runs are lines of ``results.jsonl``: the same command, given again, goes on
after the last of them, and several may run side by side for different seeds or rows.
"""

import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import baseline_configs as configs  # noqa: E402
from baseline_report import reports, time_of  # noqa: E402
from baseline_runs import draw_people, floors, measure, train  # noqa: E402
from claims.command_line import compare  # noqa: E402
from claims.results import Results, settings_hash  # noqa: E402
from claims.runs import run_row  # noqa: E402

from mmreid.datasets.synthetic import GENERATOR_VERSION  # noqa: E402

TIMING_SEED = 0  # of the people on whom iterations are timed, once for all seeds


def settings(weights: Path) -> str:
    """Names everything that the results depend on but the row."""
    cfg = configs.small_config(configs.BASELINE, Path(), None, 0).to_dict()
    plan = (configs.WORLD, configs.PLAN, configs.SECONDS, configs.TIMED, GENERATOR_VERSION)
    return settings_hash(cfg, plan, weights.name)


def run_seed(seed: int, rows: list[configs.Row], work_dir: Path, weights: Path, results: Results) -> None:
    """Does all runs of a seed that are not done yet.

    Args:
        seed (int): Seed of people and training.
        rows (list[configs.Row]): Rows of the table to train.
        work_dir (Path): Where the runs go.
        weights (Path): The warm start.
        results (Results): The finished runs.
    """

    people = {which: work_dir / f'people{which}' for which in (seed, TIMING_SEED)}
    do = partial(run_row, results, seed, folder=work_dir / f'seed{seed}')
    do('people', lambda run_dir: dict(drawn=[draw_people(people[seed], seed).name]))
    root = draw_people(people[seed], seed)
    do('floors', partial(floors, root=root, weights=weights, seed=seed))
    watch = partial(run_row, results, TIMING_SEED, folder=work_dir / f'seed{TIMING_SEED}', tell=told_time)
    iterations = {}
    for row in [row for row in rows if row.backbone]:
        job = partial(measure, row=row, root=draw_people(people[TIMING_SEED], TIMING_SEED))
        found = watch(time_of(row), job, definition=repr(row))
        iterations[row.name] = round(1000 * configs.SECONDS / found['ms'])
    for row in rows:
        length = iterations.get(row.name, configs.LOSS_ITERATIONS)
        job = partial(train, row=row, root=root, weights=weights, seed=seed, iterations=length)
        do(row.name, job, definition=repr(row))


def told_time(done: dict) -> str:
    """Says in short how long an iteration takes."""
    return f'{done["ms"]:.0f} ms'


def report(table: str, rows: list[configs.Row], lines: list[dict]) -> str:
    """Makes a table."""
    return reports[table](rows, lines)


def of_table(rows: list[configs.Row], lines: list[dict], seeds: list[int]) -> list[dict]:
    """Chooses the lines of a table: those of its rows as they are now, and of floors and people."""
    wanted, times = {None, *map(repr, rows)}, {time_of(row) for row in rows}
    found = [line for line in lines if line['seed'] in seeds or line['row'] in times]
    return [line for line in found if line.get('definition') in wanted]


if __name__ == '__main__':
    compare(__doc__, 'baseline', configs.TABLES, settings, run_seed, of_table, report)
