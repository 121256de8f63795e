# Copyright (c) mmreid contributors. All rights reserved.
"""Compares the ladder of ECN, and styles of its target images, on procedural people.

``python benchmarks/ecn/ecn_claim.py ladder --seeds 0 1 2`` draws people, trains, tests and prints a table; the other
tables are ``long``, ``styles`` and ``neighbors``. Finished runs are lines of ``results.jsonl``: the same command, given
again, goes on after the last of them, and several may run side by side for different seeds.
"""

import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import ecn_configs as configs  # noqa: E402
from claims.command_line import compare  # noqa: E402
from claims.results import Results, settings_hash  # noqa: E402
from claims.runs import folder_name, run_row  # noqa: E402
from ecn_report import reports  # noqa: E402
from ecn_runs import START_FILE, draw_people, floors, make_styles, train  # noqa: E402

from mmreid.datasets.synthetic import GENERATOR_VERSION  # noqa: E402

NOWHERE = dict.fromkeys(('source', 'target', 'generated'), Path())


def settings(weights: Path) -> str:
    """Names everything that all results depend on."""
    worlds = (*configs.SHORT.worlds, GENERATOR_VERSION)
    return settings_hash(configs.small_config(configs.E_C_N, NOWHERE, None, 0).to_dict(), worlds, weights.name)


def definition(row: configs.Row | None) -> str:
    """Names what the results of a row depend on besides; None stands for the camera-style network."""
    cfgs = [configs.small_config(row, NOWHERE, None, 0).to_dict()] if row else []
    if row and row.setting.held_out and row is not configs.START:
        cfgs.append(configs.small_config(configs.START, NOWHERE, None, 0).to_dict())
    if row is None or row.generated:
        cfgs.append(configs.gan_config(Path(), 0).to_dict())
    return settings_hash(*cfgs, *([row.setting.worlds] if row else []))


def of_people(setting: configs.Setting) -> str:
    """Names what the people of a setting depend on besides."""
    return settings_hash(setting.worlds)


def run_seed(seed: int, rows: list[configs.Row], work_dir: Path, weights: Path, results: Results) -> None:
    """Does all runs of a seed that are not done yet.

    Args:
        seed (int): Seed of people and training.
        rows (list[configs.Row]): Rows of the table to train; all of the same setting.
        work_dir (Path): Where the runs go.
        weights (Path): The warm start.
        results (Results): The finished runs.
    """
    setting = rows[0].setting
    people, folder = (work_dir / f'{name}{seed}{setting.name}' for name in ('people', 'seed'))
    do = partial(run_row, results, seed, folder=folder)
    draw = partial(draw_people, people, seed, setting)
    do('people', lambda run_dir: dict(drawn=list(draw())), definition=of_people(setting))
    roots = draw()
    do('floors', partial(floors, roots=roots, weights=weights, seed=seed), definition=of_people(setting))
    start = folder / folder_name(configs.START.name) / START_FILE
    if setting.held_out and not start.is_file():
        rows = [configs.START, *(row for row in rows if row is not configs.START)]
    for row in rows:
        if row.generated:
            do('StarGAN', partial(make_styles, roots=roots, seed=seed), definition=definition(None))
        begin = start if setting.held_out and row is not configs.START else weights
        job = partial(train, row=row, roots=roots, weights=begin, seed=seed)
        do(row.name, job, definition=definition(row))


def of_table(rows: list[configs.Row], lines: list[dict], seeds: list[int]) -> list[dict]:
    """Chooses the lines of a table: those of its rows as they are now, and of their people and floors."""
    wanted = {of_people(rows[0].setting), *map(definition, [*rows, None])}
    return [line for line in lines if line['seed'] in seeds and line.get('definition') in wanted]


def report(table: str, rows: list[configs.Row], lines: list[dict]) -> str:
    """Makes a table."""
    return reports[table](rows, lines)


if __name__ == '__main__':
    compare(__doc__, 'ecn', configs.TABLES, settings, run_seed, of_table, report)
