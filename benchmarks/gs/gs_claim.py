# Copyright (c) mmreid contributors. All rights reserved.
"""Compares samplers, matchers and losses on procedural people with many near-duplicates.

``python benchmarks/gs/gs_claim.py sampling --seeds 0 1 2`` draws people, trains, tests and prints a table; the other
tables are ``matchers``, ``memory`` and ``published``. Finished runs are lines of ``results.jsonl``: the same command,
given again, goes on after the last of them, and several may run side by side for different seeds or rows.
"""

import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import gs_configs as configs  # noqa: E402
from claims.command_line import compare  # noqa: E402
from claims.results import Results, settings_hash  # noqa: E402
from claims.runs import run_row  # noqa: E402
from gs_report import reports  # noqa: E402
from gs_runs import draw_people, floors, train  # noqa: E402

from mmreid.datasets.synthetic import GENERATOR_VERSION  # noqa: E402


def settings(weights: Path) -> str:
    """Names everything that the results depend on but the row."""
    cfg = configs.small_config(configs.GS, dict.fromkeys(configs.DOMAINS, Path()), None, 0).to_dict()
    return settings_hash(cfg, configs.WORLD, configs.PLAN, GENERATOR_VERSION, weights.name)


def run_seed(seed: int, rows: list[configs.Row], work_dir: Path, weights: Path, results: Results) -> None:
    """Does all runs of a seed that are not done yet.

    Args:
        seed (int): Seed of people and training.
        rows (list[configs.Row]): Rows of the table to train; all with images of the same size.
        work_dir (Path): Where the runs go.
        weights (Path): The warm start.
        results (Results): The finished runs.
    """
    size = rows[0].size
    people = work_dir / f'people{seed}-{size[0]}x{size[1]}'
    do = partial(run_row, results, seed, folder=work_dir / f'seed{seed}', tell=told)
    draw = partial(draw_people, people, seed, size)
    do('people', lambda run_dir: dict(drawn=list(draw())), definition=repr(size))
    roots = draw()
    do('floors', partial(floors, roots=roots, weights=weights, seed=seed, size=size), definition=repr(size))
    for row in rows:
        epoch = equal_time_epoch(results, seed, row.as_long_as) if row.as_long_as else None
        job = partial(train, row=row, roots=roots, weights=weights, seed=seed, epoch=epoch)
        do(row.name, job, definition=repr(row))


def told(done: dict) -> str:
    """Says in short what came out of a run."""
    return ', '.join(f'{domain} {done[domain]["mAP"]:.1f}' for domain in configs.DOMAINS if 'epochs' in done) or 'done'


def equal_time_epoch(results: Results, seed: int, name: str) -> int:
    """Tells how many iterations of PK take as long as an epoch of another row, its graph included."""
    other, plain = (results.find(seed, row) for row in (name, configs.PK.name))
    if other is None or plain is None:
        raise RuntimeError(f'the times of {name} and {configs.PK.name} with seed {seed} are needed first')
    return round(configs.EPOCH * other['train_seconds'] / plain['train_seconds'])


def of_table(rows: list[configs.Row], lines: list[dict], seeds: list[int]) -> list[dict]:
    """Chooses the lines of a table: those of its rows as they are now, and of their people and floors."""
    wanted = {repr(rows[0].size), *map(repr, rows)}
    return [line for line in lines if line['seed'] in seeds and line.get('definition') in wanted]


def report(table: str, rows: list[configs.Row], lines: list[dict]) -> str:
    """Makes a table."""
    return reports[table](rows, lines)


if __name__ == '__main__':
    compare(__doc__, 'gs', configs.TABLES, settings, run_seed, of_table, report)
