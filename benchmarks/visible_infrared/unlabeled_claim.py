# Copyright (c) mmreid contributors. All rights reserved.
"""Trains visible and infrared people without their labels, on the people of ``infrared_claim.py``.

``python benchmarks/visible_infrared/unlabeled_claim.py unlabeled --seeds 50 51 52`` draws people, trains, tests and
prints a table. Finished runs are lines of ``results.jsonl``: the same command, given again, goes on after the last of
them, and several may run side by side for different seeds.
"""

import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import unlabeled_configs as configs  # noqa: E402
from claims.command_line import compare  # noqa: E402
from claims.floors import FLOORS  # noqa: E402
from claims.infrared_worlds import METRICS, make_world, short  # noqa: E402
from claims.results import Results, settings_hash, spread, table  # noqa: E402
from claims.runs import build, end_of, folder_name  # noqa: E402
from claims.tables import by_seed, cost, floor_gain, floor_rows, gain, of_row  # noqa: E402
from claims.training_clock import TrainingClock  # noqa: E402
from claims.worlds import lines_of, run_world  # noqa: E402
from infrared_claim import settings  # noqa: E402
from infrared_report import scores  # noqa: E402
from infrared_runs import floors  # noqa: E402


def definition(stage: configs.Stage) -> str:
    """Names what the results of a stage depend on besides, the stage before it included."""
    stages = [stage.after, stage] if stage.after else [stage]
    return settings_hash([configs.small_config(entry, Path(), None, 0).to_dict() for entry in stages])


def train(work_dir: Path, row: configs.Stage, roots: Path, weights: Path | None, seed: int) -> dict:
    """Trains a stage and tests it.

    Args:
        work_dir (Path): Where the run goes; a stage before it is beside, or is trained there.
        row (configs.Stage): What to train.
        roots (Path): The people.
        weights (Path, optional): The warm start.
        seed (int): Seed.

    Returns:
        dict: The metrics in percent, and ``train_seconds`` of the processor.
    """
    if row.after:
        before = work_dir.with_name(folder_name(row.after.name))
        weights = end_of(before, partial(train, before, row.after, roots, weights, seed))
    clock = TrainingClock()
    runner = build(configs.small_config(row, roots, weights, seed), work_dir)
    runner.register_hook(clock)
    runner.train()
    return dict(short(runner.test()), train_seconds=clock.seconds)


def run_seed(seed: int, rows: list[configs.Stage], work_dir: Path, weights: Path | None, results: Results) -> None:
    """Does all runs of a seed that are not done yet, see :func:`run_world`."""
    run_world(seed, rows, work_dir, weights, results, make_world, floors, train, definition)


def report(_: str, rows: list[configs.Stage], lines: list[dict]) -> str:
    """Makes the tables: means over the worlds, and each training."""
    text = [['', 'seconds', *METRICS, 'mAP - warm start', f'mAP - {configs.AGAIN.name}', 'worlds']]
    text += floor_rows(lines, scores, 1, 3)
    for row in rows:
        runs = list(of_row(lines, row.name).values())
        if runs:
            cells = [spread([run['train_seconds'] for run in runs], '.0f'), *scores(runs)]
            over = gain(lines, row.name, configs.AGAIN.name) if row.after else ''
            cells += [floor_gain(lines, row.name, FLOORS[-1]), over]
            text.append([row.name, *cells, str(len(runs))])
    return '\n'.join([table(text), '', by_seed(lines, rows), '', cost(lines, rows)])


if __name__ == '__main__':
    compare(__doc__, 'visible_infrared', configs.TABLES, settings, run_seed, partial(lines_of, definition), report)
