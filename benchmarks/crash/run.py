# Copyright (c) mmreid contributors. All rights reserved.
"""Kills small trainings, lets them go on, and compares their ends bit for bit with those of trainings left alone.

``python benchmarks/crash/run.py --kills 100 --seed 0`` kills at file operations and at random moments, fills disks,
turns clocks, starts two trainings in one folder, and prints a table. Each case is a line of ``results.jsonl``: the same
command, given again on the same commit, goes on after the last of them.
"""

import argparse
import os
import platform
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import partial
from itertools import count, islice
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / 'tests'), str(ROOT / 'benchmarks')]

from claims.results import Results, table, write_section  # noqa: E402
from crash_cases import Case, Whole, draw_full_disk, draw_kills, play, train_whole  # noqa: E402
from crash_families import FAMILIES, write_data  # noqa: E402

SAME = 'same'
KINDS = {
    'operation': 'killed at a file operation',
    'moment': 'killed at a random moment',
    'disk': 'disk full',
    'pair': 'more trainings in the folder',
}


def main() -> int:
    """Runs what is missing, and prints the table; fails if an end was another one."""
    args = _parse_args()
    work_dir = args.work_dir.absolute()
    # What the processes fork from must import this checkout.
    os.environ['PYTHONPATH'] = os.pathsep.join([*sys.path[:2], os.environ.get('PYTHONPATH', '')])
    work_dir.mkdir(parents=True, exist_ok=True)
    results = Results(work_dir / 'results.jsonl', _commit())
    if not args.report:
        scratch = work_dir / 'runs'
        shutil.rmtree(scratch, ignore_errors=True)  # noqa: TID251  made by this program
        scratch.mkdir()
        data = write_data(work_dir / 'data')
        wholes = {name: train_whole(FAMILIES[name], data, scratch) for name in args.families}
        _play_all(args, wholes, scratch, results)
    lines = [line for line in results.lines if line['seed'] == args.seed and line['family'] in args.families]
    text = report(lines)
    print(text)
    if args.readme:
        write_section(ROOT / 'benchmarks/crash/README.md', 'kills', text)
    return int(any(line['outcome'] != SAME for line in lines))


def report(lines: list[dict]) -> str:
    """Makes the table.

    Args:
        lines (list[dict]): Finished cases.

    Returns:
        str: Commit, machine, counts, the table, and what went wrong.
    """
    rows = [['training', *KINDS.values(), 'kills', 'clock turned', 'imported anew', 'same end']]
    for name in [name for name in FAMILIES if any(line['family'] == name for line in lines)]:
        own = [line for line in lines if line['family'] == name]
        cases = [str(sum(line['kind'] == kind for line in own)) for kind in KINDS]
        sums = [sum(line[key] for line in own) for key in ('kills', 'clocks', 'cold')]
        same = sum(line['outcome'] == SAME for line in own)
        rows.append([name, *cases, *map(str, sums), f'{same} of {len(own)}'])
    wrong = [f'- {line["family"]}, {"; ".join(line["what"])}: {line["outcome"]}' for line in lines if _is_wrong(line)]
    head = (
        f'{sum(line["kills"] for line in lines)} kills in {len(lines)} cases; commit {_commit()}, {date.today()}, '
        f'{os.cpu_count()} cores ({_processor()}), Python {platform.python_version()}.'
    )
    return '\n'.join([head, '', table(rows), '', *(['Other ends:', '', *wrong] if wrong else ['No other end.'])])


def _play_all(args: argparse.Namespace, wholes: dict[str, Whole], scratch: Path, results: Results) -> None:
    kills = partial(_cases, args, wholes)
    with ThreadPoolExecutor(args.jobs) as pool:
        run = partial(_play_some, pool, args, wholes, scratch, results)
        run('kill', kills(lambda rng, whole, number: draw_kills(rng, whole, _is_cold(args, whole, number))), args.kills)
        run('disk', islice(kills(lambda rng, whole, _: draw_full_disk(rng, whole)), args.disks))
        run('pair', islice(kills(lambda _, whole, __: Case('pair', whole.family.name)), args.pairs))


def _cases(
    args: argparse.Namespace, wholes: dict[str, Whole], draw: Callable[[random.Random, Whole, int], Case]
) -> Iterator[Case]:
    """Gives the families in turn a case each, without end."""
    for number in count():
        whole = wholes[args.families[number % len(wholes)]]
        yield draw(random.Random(f'{args.seed} {number}'), whole, number)


def _play_some(
    pool: ThreadPoolExecutor,
    args: argparse.Namespace,
    wholes: dict[str, Whole],
    scratch: Path,
    results: Results,
    name: str,
    cases: Iterator[Case],
    kills: int | None = None,
) -> None:
    """Plays cases, several at a time: all, or until there were enough kills."""
    done, killed = 0, 0
    while kills is None or killed < kills:
        some = list(islice(cases, args.jobs if kills is None else min(args.jobs, kills - killed)))
        if not some:
            return
        rows = [f'{name} {done + place}' for place in range(len(some))]
        one = partial(_play_once, args.seed, wholes, scratch, results)
        for row, line in zip(rows, pool.map(one, rows, some), strict=True):
            killed += line['kills']
            total = f'{killed}/{kills}' if kills else ''
            what = '; '.join(line['what']) or 'came to its end first'
            print(f'{row} {total} {line["family"]}: {what}: {line["outcome"]}', flush=True)
        done += len(some)


def _play_once(seed: int, wholes: dict[str, Whole], scratch: Path, results: Results, row: str, case: Case) -> dict:
    found = results.find(seed, row)
    if found:
        return found
    folder = scratch / row.replace(' ', '-')
    line = results.add(seed, row, **play(case, wholes[case.family], folder))
    if not _is_wrong(line):
        shutil.rmtree(folder, ignore_errors=True)  # noqa: TID251  made by this program
    return line


def _is_cold(args: argparse.Namespace, whole: Whole, number: int) -> bool:
    return whole.family.ranks == 1 and number % max(1, args.kills // max(1, args.cold)) == 0 and args.cold > 0


def _is_wrong(line: dict) -> bool:
    return line['outcome'] != SAME


def _commit() -> str:
    """Names the commit; cases of another one are left out."""
    command = ['git', '-C', str(ROOT), 'describe', '--always', '--dirty', '--match=-']
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()  # noqa: S603  a list of our own words


def _processor() -> str:
    lines = Path('/proc/cpuinfo').read_text().splitlines()
    return next((line.partition(': ')[2] for line in lines if line.startswith('model name')), platform.machine())


def _parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--kills', type=int, default=100, help='how many kills')
    parser.add_argument('--cold', type=int, default=5, help='about so many of the cases import everything anew')
    parser.add_argument('--disks', type=int, default=10, help='cases with a full disk')
    parser.add_argument('--pairs', type=int, default=2, help='cases with several trainings in one folder')
    parser.add_argument('--seed', type=int, default=0, help='of the cases')
    parser.add_argument('--jobs', type=int, default=2, help='cases at a time')
    parser.add_argument('--families', nargs='+', choices=FAMILIES, default=list(FAMILIES), help='what is trained')
    parser.add_argument('--work-dir', type=Path, default=ROOT / 'work_dirs/crash', help='for everything')
    parser.add_argument('--report', action='store_true', help='run nothing; print the table of what is there')
    parser.add_argument('--readme', action='store_true', help='also write the table into the README')
    return parser.parse_args()


if __name__ == '__main__':
    sys.exit(main())
