# Copyright (c) mmreid contributors. All rights reserved.
"""Compares visible-infrared methods with and without channel augmentation, on procedural people.

``python benchmarks/visible_infrared/infrared_claim.py channels --seeds 50 51 52`` draws people, trains, tests and
prints a table. Finished runs are lines of ``results.jsonl``: the same command, given again, goes on after the last of
them, and several may run side by side for different seeds.
"""

import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import infrared_configs as configs  # noqa: E402
import infrared_report  # noqa: E402
from claims.command_line import compare  # noqa: E402
from claims.infrared_worlds import PLAN, WORLD, make_world  # noqa: E402
from claims.results import Results, settings_hash  # noqa: E402
from claims.worlds import lines_of, run_world  # noqa: E402
from infrared_runs import floors, train  # noqa: E402

from mmreid.datasets.synthetic import GENERATOR_VERSION  # noqa: E402


def settings(weights: Path) -> str:
    """Names everything that all results depend on."""
    return settings_hash(WORLD, PLAN, GENERATOR_VERSION, weights.name)


def definition(row: configs.Row) -> str:
    """Names what the results of a row depend on besides."""
    return settings_hash(configs.small_config(row, Path(), None, 0).to_dict())


def run_seed(seed: int, rows: list[configs.Row], work_dir: Path, weights: Path, results: Results) -> None:
    """Does all runs of a seed that are not done yet, see :func:`run_world`."""
    run_world(seed, rows, work_dir, weights, results, make_world, floors, train, definition)


def report(_: str, rows: list[configs.Row], lines: list[dict]) -> str:
    """Makes the tables, see :func:`infrared_report.report`."""
    return infrared_report.report(rows, lines)


if __name__ == '__main__':
    compare(__doc__, 'visible_infrared', configs.TABLES, settings, run_seed, partial(lines_of, definition), report)
