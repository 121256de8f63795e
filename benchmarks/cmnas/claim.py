# Copyright (c) mmreid contributors. All rights reserved.
"""Compares searched, manual and random architectures of CM-NAS on procedural visible-infrared people.

``python benchmarks/cmnas/claim.py`` draws people, searches, trains, tests and prints the tables. Finished runs are
lines of ``results.jsonl``: the same command, given again, goes on after the last of them.
"""

import argparse
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import claim_configs as configs  # noqa: E402
from claim_report import draw, report  # noqa: E402
from claim_runs import floors, make_world, train  # noqa: E402
from claims.floors import FLOORS  # noqa: E402
from claims.results import Results, settings_hash, write_section  # noqa: E402
from claims.runs import ROOT, ensure_environment, run_row, warm_start  # noqa: E402

from mmreid.datasets.synthetic import GENERATOR_VERSION  # noqa: E402
from mmreid.utils.one_line_errors import one_line_errors  # noqa: E402

RANDOM = 2
ORDER = [*configs.MANUAL, 'random', *configs.SEARCHES]  # of the table


def settings(weights: Path) -> str:
    """Names everything that all trainings depend on; a search adds its own settings to its lines."""
    training = configs.small_config(configs.MANUAL['all shared'], Path(), None, 0).to_dict()
    return settings_hash(training, configs.WORLD, configs.PLAN, GENERATOR_VERSION, weights.name)


def run_world(world: int, seeds: list[int], rows: list[str], work_dir: Path, weights: Path, results: Results) -> None:
    """Does all runs of a world that are not done yet.

    Args:
        world (int): Seed of the people and of the searches.
        seeds (list[int]): Seeds of the trainings.
        rows (list[str]): Rows of the table to train.
        work_dir (Path): Where the runs go.
        weights (Path): The warm start.
        results (Results): The finished runs.
    """
    data_root = make_world(work_dir / f'people{world}', world)
    folder = work_dir / f'world{world}'
    run_row(results, world, 'floors', lambda run_dir: floors(run_dir, data_root, weights, world), folder)
    for row in rows:
        for seed in seeds:

            def job(run_dir: Path, row: str = row, seed: int = seed) -> dict:
                return train(run_dir, data_root, weights, seed, row, None)

            run_row(results, world, row, job, folder / f'seed{seed}', training=seed)


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--worlds', type=int, nargs='+', default=[10, 11, 12, 13, 14], help='seeds of people and search'
    )
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1], help='of the trainings')
    parser.add_argument('--rows', nargs='+', choices=ORDER, default=ORDER, metavar='ROW', help=f'only these of {ORDER}')
    parser.add_argument('--work-dir', type=Path, default=ROOT / 'work_dirs/cmnas_claim', help='for everything')
    parser.add_argument('--report', action='store_true', help='run nothing; print the table of what is there')
    parser.add_argument('--readme', action='store_true', help='also write the table into the README')
    return parser.parse_args()


def main() -> None:
    """Runs what is missing, and prints the table."""
    args = parse_args()
    work_dir = args.work_dir.absolute()
    work_dir.mkdir(parents=True, exist_ok=True)
    weights = warm_start(work_dir)
    results = Results(work_dir / 'results.jsonl', settings(weights))
    for world in [] if args.report else args.worlds:
        run_world(world, args.seeds, args.rows, work_dir, weights, results)
    lines = [line for line in results.lines if line['seed'] in args.worlds]
    text = report(lines, ORDER, FLOORS)
    print(f'settings {results.settings}, torch {torch.__version__}\n{text}')
    draw(lines, ORDER, work_dir / 'claim.png')
    if args.readme:
        write_section(Path(__file__).with_name('README.md'), 'claim', text)


if __name__ == '__main__':
    ensure_environment()
    with one_line_errors():
        main()
