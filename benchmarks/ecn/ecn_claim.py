# Copyright (c) mmreid contributors. All rights reserved.
"""Compares the ladder of ECN, and styles of its target images, on procedural people.

``python benchmarks/ecn/ecn_claim.py ladder --seeds 0 1 2`` draws people, trains, tests and prints a table; the other
tables are ``styles`` and ``neighbours``. Finished runs are lines of ``results.jsonl``: the same command, given again,
goes on after the last of them, and several may run side by side for different seeds.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import ecn_configs as configs  # noqa: E402
from claims.results import Results, settings_hash, write_section  # noqa: E402
from claims.runs import ROOT, ensure_environment, once, warm_start  # noqa: E402
from ecn_report import reports  # noqa: E402
from ecn_runs import draw_people, floors, make_styles, train  # noqa: E402

from mmreid.datasets.synthetic import GENERATOR_VERSION  # noqa: E402
from mmreid.utils.one_line_errors import one_line_errors  # noqa: E402

NOWHERE = dict.fromkeys(('source', 'target', 'generated'), Path())


def settings(weights: Path) -> str:
    """Names everything that all results depend on."""
    worlds = (configs.SOURCE, configs.SOURCE_PLAN, configs.TARGET, configs.TARGET_PLAN, GENERATOR_VERSION)
    return settings_hash(configs.small_config(configs.E_C_N, NOWHERE, None, 0).to_dict(), worlds, weights.name)


def definition(row: configs.Row | None) -> str:
    """Names what the results of a row depend on besides; None stands for the camera-style network."""
    cfgs = [configs.small_config(row, NOWHERE, None, 0).to_dict()] if row else []
    if row is None or row.generated:
        cfgs.append(configs.gan_config(Path(), 0).to_dict())
    return settings_hash(*cfgs)


def run_seed(seed: int, rows: list[configs.Row], work_dir: Path, weights: Path, results: Results) -> None:
    """Does all runs of a seed that are not done yet.

    Args:
        seed (int): Seed of people and training.
        rows (list[configs.Row]): Rows of the table to train.
        work_dir (Path): Where the runs go.
        weights (Path): The warm start.
        results (Results): The finished runs.
    """
    people, folder = work_dir / f'people{seed}', work_dir / f'seed{seed}'

    def do(name: str, job, **same) -> None:
        run_dir = folder / name.replace(' ', '-').replace(',', '')
        done = once(results, seed, name, lambda: job(run_dir), run_dir.with_name(f'{run_dir.name}.log'), **same)
        value = f'{done["mAP"]:.1f} mAP' if 'mAP' in done else 'done'
        print(f'seed {seed}, {name}: {value} ({done["cpu"]:.0f} s)', flush=True)

    do('people', lambda run_dir: {name: str(path) for name, path in draw_people(people, seed).items()})
    roots = draw_people(people, seed)
    do('floors', partial(floors, roots=roots, weights=weights, seed=seed))
    for row in rows:
        if row.generated:
            do('StarGAN', partial(make_styles, roots=roots, seed=seed), definition=definition(None))
        job = partial(train, row=row, roots=roots, weights=weights, seed=seed)
        do(row.name, job, definition=definition(row))


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('table', choices=configs.TABLES, help='which comparison')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2], help='of people and training')
    parser.add_argument('--rows', nargs='+', metavar='ROW', help='only these rows of the table')
    parser.add_argument('--work-dir', type=Path, default=ROOT / 'work_dirs/ecn_claim', help='for everything')
    parser.add_argument('--report', action='store_true', help='run nothing; print the table of what is there')
    parser.add_argument('--readme', action='store_true', help='also write the table into the README')
    args = parser.parse_args()
    names = [row.name for row in configs.TABLES[args.table]]
    for name in args.rows or ():
        if name not in names:
            parser.error(f'--rows {name!r} is no row of {args.table}; use {names}')
    return args


def main() -> None:
    """Runs what is missing, and prints the table."""
    args = parse_args()
    work_dir = args.work_dir.absolute()
    work_dir.mkdir(parents=True, exist_ok=True)
    weights = warm_start(work_dir)
    results = Results(work_dir / 'results.jsonl', settings(weights))
    rows = [row for row in configs.TABLES[args.table] if not args.rows or row.name in args.rows]
    for seed in [] if args.report else args.seeds:
        run_seed(seed, rows, work_dir, weights, results)
    wanted = {None, *map(definition, [*rows, None])}
    lines = [line for line in results.lines if line['seed'] in args.seeds and line.get('definition') in wanted]
    text = reports[args.table](rows, lines)
    print(f'settings {results.settings}, torch {torch.__version__}\n{text}')
    if args.readme:
        write_section(ROOT / 'benchmarks/ecn/README.md', args.table, text)


if __name__ == '__main__':
    ensure_environment()
    with one_line_errors():
        main()
