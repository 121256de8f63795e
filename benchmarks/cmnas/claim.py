# Copyright (c) mmreid contributors. All rights reserved.
"""Compares searched, manual and random architectures of CM-NAS on procedural visible-infrared people.

``python benchmarks/cmnas/claim.py`` draws people, searches, trains, tests and prints the tables. Finished runs are
lines of ``results.jsonl``: the same command, given again, goes on after the last of them.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import claim_configs as configs  # noqa: E402
from claim_report import draw, report  # noqa: E402
from claim_runs import floors, search, train  # noqa: E402
from claims.floors import FLOORS  # noqa: E402
from claims.infrared_worlds import PLAN, WORLD, make_world  # noqa: E402
from claims.results import Results, save_lines, settings_hash, write_section  # noqa: E402
from claims.runs import ROOT, ensure_environment, run_row, warm_start  # noqa: E402

from mmreid.datasets.synthetic import GENERATOR_VERSION  # noqa: E402
from mmreid.utils.one_line_errors import one_line_errors  # noqa: E402

ORDER = [*configs.MANUAL, 'random', *configs.EARLIER, *configs.SEARCHES]  # of the table


def settings(weights: Path) -> str:
    """Names everything that all trainings depend on.

    A search is known by its row: after a change of its rounds, give another ``--work-dir``.
    """
    training = configs.small_config(configs.MANUAL['all shared'], Path(), None, 0).to_dict()
    return settings_hash(training, WORLD, PLAN, GENERATOR_VERSION, weights.name)


class World:
    """The runs of a world; those that are done are not done again.

    Args:
        number (int): Seed of the people and of the searches.
        seeds (list[int]): Seeds of the trainings.
        work_dir (Path): Where the runs go.
        weights (Path): The warm start.
        results (Results): The finished runs.
    """

    def __init__(self, number: int, seeds: list[int], work_dir: Path, weights: Path, results: Results) -> None:
        self.number, self.seeds, self.weights, self.results = number, seeds, weights, results
        self.folder = work_dir / f'world{number}'
        self.data_root = make_world(work_dir / f'people{number}', number)

    def floors(self) -> None:
        """Tests what has learned nothing about these people."""
        job = partial(floors, data_root=self.data_root, weights=self.weights, seed=self.number)
        run_row(self.results, self.number, 'floors', job, self.folder)

    def search(self, row: str) -> dict[str, str]:
        """Searches the architecture of a row; returns the state of each norm."""
        job = partial(search, data_root=self.data_root, weights=self.weights, seed=self.number, row=row)
        return run_row(self.results, self.number, f'search of {row}', job, self.folder / 'searches')['norms']

    def train(self, row: str, norms: dict[str, str], seed: int) -> None:
        """Trains an architecture with one seed, or takes the result of a row that has the same."""
        same = next(
            (
                line
                for line in self.results.lines
                if 'mAP' in line and (line['seed'], line['training'], line['norms']) == (self.number, seed, norms)
            ),
            None,
        )
        if same is not None and self.results.find(self.number, row, training=seed) is None:
            kept = {name: value for name, value in same.items() if name not in ('settings', 'seed', 'row')}
            self.results.add(self.number, row, **kept, same_as=same['row'])
        job = partial(train, data_root=self.data_root, weights=self.weights, seed=seed, row=row, norms=norms)
        run_row(self.results, self.number, row, job, self.folder / f'seed{seed}', training=seed)

    def run(self, row: str) -> None:
        """Does the runs of a row, and the search that it needs."""
        if row == 'random':
            searched = self.search('searched')
            if len(set(searched.values())) == 1:
                print(f'seed {self.number}, random: the searched architecture is the only one with as many split norms')
                return
            for draw, seed in enumerate(self.seeds):
                self.train(row, configs.random_norms(searched, self.number, draw), seed)
            return
        norms = self.search(row) if row in configs.SEARCHES else configs.manual_norms(row)
        for seed in self.seeds:
            self.train(row, norms, seed)


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--worlds', type=int, nargs='+', default=[12, 13, 14, 15, 16], help='seeds of people and search'
    )
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1], help='of the trainings')
    rows = [row for row in ORDER if row not in configs.EARLIER]
    default = [row for row in rows if row != 'searched, shorter']
    parser.add_argument('--rows', nargs='+', choices=rows, default=default, metavar='ROW', help=f'only these of {rows}')
    parser.add_argument('--work-dir', type=Path, default=ROOT / 'work_dirs/cmnas_claim', help='for everything')
    parser.add_argument('--report', action='store_true', help='run nothing; print the table of what is there')
    parser.add_argument('--readme', action='store_true', help='also write tables and runs beside the README')
    return parser.parse_args()


def main() -> None:
    """Runs what is missing, and prints the table."""
    args = parse_args()
    work_dir = args.work_dir.absolute()
    work_dir.mkdir(parents=True, exist_ok=True)
    weights = warm_start(work_dir, train=not args.report)
    results = Results(work_dir / 'results.jsonl', settings(weights))
    for number in [] if args.report else args.worlds:
        world = World(number, args.seeds, work_dir, weights, results)
        world.floors()
        for row in args.rows:
            world.run(row)
    lines = [line for line in results.lines if line['seed'] in args.worlds]
    text = report(lines, ORDER, FLOORS)
    print(f'settings {results.settings}, torch {torch.__version__}\n{text}')
    draw(lines, ORDER, work_dir / 'claim.png')
    if args.readme:
        readme = Path(__file__).with_name('README.md')
        write_section(readme, 'claim', text)
        save_lines(lines, readme.with_name('claim.jsonl'))


if __name__ == '__main__':
    ensure_environment()
    with one_line_errors():
        main()
