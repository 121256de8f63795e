# Copyright (c) mmreid contributors. All rights reserved.
"""The command line that comparisons of trainings share."""

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from claims.results import Results, save_lines, write_section
from claims.runs import ROOT, ensure_environment, warm_start

from mmreid.utils.one_line_errors import one_line_errors


def compare(
    doc: str,
    name: str,
    tables: dict[str, list],
    settings: Callable[[Path], str],
    run_seed: Callable[[int, list, Path, Path, Results], None],
    choose: Callable[[list, list[dict], list[int]], list[dict]],
    report: Callable[[str, list, list[dict]], str],
) -> None:
    """Runs what is missing of a table, and prints it.

    Args:
        doc (str): What ``--help`` says.
        name (str): Folder of the comparison in ``benchmarks``, whose README holds its tables.
        tables (dict[str, list]): The rows of each table, by its name; a row has a ``name``.
        settings (Callable): Names everything that all results depend on, from the file of the warm start.
        run_seed (Callable): Does all runs of a seed that are not done yet, from seed, rows, work dir, warm start and
            finished runs.
        choose (Callable): Chooses the finished runs of a table, from rows, all finished runs and seeds.
        report (Callable): Makes a table from its name, rows and what was chosen.
    """
    ensure_environment()
    with one_line_errors():
        args = _parse_args(doc, name, tables)
        work_dir = args.work_dir.absolute()
        work_dir.mkdir(parents=True, exist_ok=True)
        weights = warm_start(work_dir, train=not args.report)
        results = Results(work_dir / 'results.jsonl', settings(weights))
        rows = [row for row in tables[args.table] if not args.rows or row.name in args.rows]
        for seed in [] if args.report else args.seeds:
            run_seed(seed, rows, work_dir, weights, results)
        lines = choose(rows, results.lines, args.seeds)
        text = report(args.table, rows, lines)
        print(f'settings {results.settings}, torch {torch.__version__}\n{text}')
        if args.readme:
            folder = ROOT / 'benchmarks' / name
            write_section(folder / 'README.md', args.table, text)
            save_lines(lines, folder / f'{args.table}.jsonl')


def _parse_args(doc: str, name: str, tables: dict[str, list]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('table', choices=tables, help='which comparison')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2], help='of people and training')
    parser.add_argument('--rows', nargs='+', metavar='ROW', help='only these rows of the table')
    parser.add_argument('--work-dir', type=Path, default=ROOT / f'work_dirs/{name}_claim', help='for everything')
    parser.add_argument('--report', action='store_true', help='run nothing; print the table of what is there')
    parser.add_argument('--readme', action='store_true', help='also write table and runs beside the README')
    args = parser.parse_args()
    names = [row.name for row in tables[args.table]]
    for row in args.rows or ():
        if row not in names:
            parser.error(f'--rows {row!r} is no row of {args.table}; use {names}')
    return args
