# Copyright (c) mmreid contributors. All rights reserved.
"""Compares searched, manual and random architectures of CM-NAS on procedural visible-infrared people.

``python benchmarks/cmnas/claim.py --seeds 0 1 2`` draws people, searches, trains, tests and prints the table. Finished
runs are lines of ``results.jsonl``: the same command, given again, goes on after the last of them.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import claim_configs as configs  # noqa: E402
from claim_report import draw, report  # noqa: E402
from claim_runs import floors, make_world, search, train  # noqa: E402
from claims.floors import FLOORS  # noqa: E402
from claims.results import Results, settings_hash, write_section  # noqa: E402
from claims.runs import ROOT, ensure_environment, run_row, warm_start  # noqa: E402

from mmreid.datasets.synthetic import GENERATOR_VERSION  # noqa: E402
from mmreid.utils.one_line_errors import one_line_errors  # noqa: E402

RANDOM = 2
ORDER = [*configs.MANUAL, 'random', *configs.SEARCHES]  # of the table


def settings(weights: Path) -> str:
    """Names everything that the results depend on."""
    cfgs = [configs.small_config(name, Path(), None, 0).to_dict() for name in (configs.SEARCHED, configs.SEARCH)]
    return settings_hash(cfgs, configs.WORLD, configs.PLAN, GENERATOR_VERSION, weights.name)


def run_seed(seed: int, rows: list[str] | None, work_dir: Path, weights: Path, results: Results) -> None:
    """Does all runs of a seed that are not done yet.

    Args:
        seed (int): Seed of people, search and training.
        rows (list[str], optional): Rows of the table to train; all by default.
        work_dir (Path): Where the runs go.
        weights (Path): The warm start.
        results (Results): The finished runs.
    """
    data_root = make_world(work_dir / f'people{seed}', seed)
    do = partial(run_row, results, seed, folder=work_dir / f'seed{seed}')
    do('floors', lambda run_dir: floors(run_dir, data_root, weights, seed))

    def train_row(row: str, norms: dict[str, str] | None = None) -> None:
        if rows is None or row in rows:
            do(row, lambda run_dir: train(run_dir, data_root, weights, seed, row, norms))

    def searched_row(row: str) -> dict[str, str]:
        name = row.replace('searched', 'search')
        norms = do(name, lambda run_dir: search(run_dir, data_root, weights, seed, row))['norms']
        train_row(row, norms)
        return norms

    def search_rows() -> None:
        found = searched_row('searched')
        if len(set(found.values())) == 1:
            print(f'seed {seed}: the search gave all norms the same state, so no random architecture is like it')
            return
        for number in range(RANDOM):
            train_row(f'random {number + 1}', configs.random_norms(found, seed, number))

    for row in configs.MANUAL:
        train_row(row)
        if row == 'all split' and (rows is None or {'searched', 'random 1', 'random 2'} & set(rows)):
            search_rows()
    for row in configs.SEARCHES:
        if row != 'searched' and (rows is None or row in rows):
            searched_row(row)


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2], help='of people, search and training')
    rows = [*configs.MANUAL, *configs.SEARCHES, *(f'random {number + 1}' for number in range(RANDOM))]
    parser.add_argument('--rows', nargs='+', choices=rows, metavar='ROW', help=f'only these of {rows}')
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
    for seed in [] if args.report else args.seeds:
        run_seed(seed, args.rows, work_dir, weights, results)
    lines = [line for line in results.lines if line['seed'] in args.seeds]
    text = report(lines, ORDER, FLOORS)
    print(f'settings {results.settings}, torch {torch.__version__}\n{text}')
    draw(lines, ORDER, work_dir / 'claim.png')
    if args.readme:
        write_section(Path(__file__).with_name('README.md'), 'claim', text)


if __name__ == '__main__':
    ensure_environment()
    with one_line_errors():
        main()
