# Copyright (c) mmreid contributors. All rights reserved.
"""Compares what learns a target domain without its labels, on procedural people.

``python benchmarks/unsupervised/unsupervised_claim.py unsupervised --seeds 40 41 42`` draws people, trains, tests and
prints a table. Finished runs are lines of ``results.jsonl``: the same command, given again, goes on after the last of
them, and several may run side by side for different seeds.
"""

import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import unsupervised_configs as configs  # noqa: E402
import unsupervised_report  # noqa: E402
from claims.command_line import compare  # noqa: E402
from claims.results import Results, settings_hash  # noqa: E402
from claims.worlds import lines_of, run_world  # noqa: E402
from unsupervised_runs import draw_people, floors, train  # noqa: E402

from mmreid.datasets.synthetic import GENERATOR_VERSION  # noqa: E402

NOWHERE = dict(source=Path(), target=Path())


def settings(weights: Path) -> str:
    """Names everything that all results depend on."""
    worlds = (configs.WORLD, configs.SOURCE, configs.TARGET, configs.SOURCE_PLAN, configs.TARGET_PLAN)
    return settings_hash(worlds, GENERATOR_VERSION, weights.name)


def definition(row: configs.Row) -> str:
    """Names what the results of a row depend on besides."""
    return settings_hash(configs.small_config(row, NOWHERE, None, 0).to_dict())


def run_seed(seed: int, rows: list[configs.Row], work_dir: Path, weights: Path, results: Results) -> None:
    """Does all runs of a seed that are not done yet, see :func:`run_world`."""
    run_world(seed, rows, work_dir, weights, results, draw_people, floors, train, definition)


def report(_: str, rows: list[configs.Row], lines: list[dict]) -> str:
    """Makes the tables, see :func:`unsupervised_report.report`."""
    return unsupervised_report.report(rows, lines)


if __name__ == '__main__':
    compare(__doc__, 'unsupervised', configs.TABLES, settings, run_seed, partial(lines_of, definition), report)
