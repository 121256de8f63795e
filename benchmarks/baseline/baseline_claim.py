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
from claims.runs import once  # noqa: E402

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

    def people_of(which: int) -> Path:
        return draw_people(work_dir / f'people{which}', which)

    def do(which: int, name: str, job, **same) -> dict:
        run_dir = work_dir / f'seed{which}' / ''.join(letter if letter.isalnum() else '-' for letter in name)
        done = once(results, which, name, lambda: job(run_dir), run_dir.with_name(f'{run_dir.name}.log'), **same)
        value = f'{done["mAP"]:.1f} mAP' if 'mAP' in done else f'{done["ms"]:.0f} ms' if 'ms' in done else 'done'
        print(f'seed {which}, {name}: {value} ({done["cpu"]:.0f} s)', flush=True)
        return done

    do(seed, 'people', lambda run_dir: dict(root=str(people_of(seed))))
    root = people_of(seed)
    do(seed, 'floors', partial(floors, root=root, weights=weights, seed=seed))
    iterations = {}
    for row in [row for row in rows if row.backbone]:
        job = partial(measure, row=row, root=people_of(TIMING_SEED))
        found = do(TIMING_SEED, time_of(row), job, definition=repr(row))
        iterations[row.name] = round(1000 * configs.SECONDS / found['ms'])
    for row in rows:
        length = iterations.get(row.name, configs.LOSS_ITERATIONS)
        job = partial(train, row=row, root=root, weights=weights, seed=seed, iterations=length)
        do(seed, row.name, job, definition=repr(row))


def report(table: str, rows: list[configs.Row], lines: list[dict], seeds: list[int]) -> str:
    """Makes a table of the runs of its rows as they are now."""
    return reports[table](rows, of_table(rows, lines, seeds))


def of_table(rows: list[configs.Row], lines: list[dict], seeds: list[int]) -> list[dict]:
    """Chooses the lines of a table: those of its rows as they are now, and of floors and people."""
    wanted, times = {None, *map(repr, rows)}, {time_of(row) for row in rows}
    found = [line for line in lines if line['seed'] in seeds or line['row'] in times]
    return [line for line in found if line.get('definition') in wanted]


if __name__ == '__main__':
    compare(__doc__, 'baseline', configs.TABLES, settings, run_seed, report)
