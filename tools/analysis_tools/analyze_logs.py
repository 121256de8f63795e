# Copyright (c) mmreid contributors. All rights reserved.
"""Draws and summarizes logs of trainings: ``analyze_logs.py plot_curve RUN ... --keys loss mAP --out curves.png``."""

import argparse
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev

import numpy as np
from terminaltables import AsciiTable

from mmreid.utils.one_line_errors import one_line_errors
from mmreid.utils.training_log import TrainingLog, read_training_log, train_time, unique_names
from mmreid.visualization.curves import FORMATS, Curve, draw_curves, mean_curve, unit_of

METRICS = ('mAP', 'mINP', 'Rank-1')
Logs = list[tuple[str, TrainingLog]]


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line, with the sub-commands and flags of MMPretrain where it has them."""
    runs = argparse.ArgumentParser(add_help=False)
    runs.add_argument(
        'runs', nargs='+', metavar='[NAME=]RUN', help='folder of a run, or its scalars.json, and what to call it'
    )
    seeds = argparse.ArgumentParser(add_help=False)
    seeds.add_argument(
        '--mean', action='store_true', help='mean and standard deviation over runs of the same NAME, otherwise over all'
    )
    times = argparse.ArgumentParser(add_help=False)
    times.add_argument('--include-outliers', action='store_true', help="count the first entry of every epoch's time")
    parser = argparse.ArgumentParser(description='Draw and summarize the logs of trainings')
    tasks = parser.add_subparsers(dest='task', required=True)
    plot = tasks.add_parser('plot_curve', parents=[runs, seeds], help='draw losses and metrics')
    plot.add_argument('--keys', nargs='+', default=['loss'], help='what to draw, e.g. loss mAP market1501/Rank-1')
    plot.add_argument(
        '--legend', nargs='+', help='a name for each curve: those of the first run, then of the second ...'
    )
    plot.add_argument('--title', default='', help='text above the image')
    plot.add_argument('--by', choices=['epoch', 'iter'], default='epoch', help='unit of the horizontal axis')
    plot.add_argument('--window-size', default='12*7', help='width*height of the image in inches, 12*7 by default')
    plot.add_argument('--out', default='curves.png', help='image (.png, .pdf, .svg); ./curves.png by default')
    tasks.add_parser('cal_train_time', parents=[runs, times], help='time per iteration, of epochs, for data')
    summary = tasks.add_parser('summary', parents=[runs, seeds, times], help='times, and last and best of each metric')
    summary.add_argument('--keys', nargs='+', help=f'what to summarize; {", ".join(METRICS)} by default')
    args = parser.parse_args(argv)
    if args.task == 'plot_curve':
        parts = args.window_size.split('*')
        if len(parts) != 2 or not all(part.isdecimal() and int(part) for part in parts):
            parser.error(f'--window-size {args.window_size}: give width*height, e.g. 12*7')
        args.size = tuple(map(int, parts))
        if Path(args.out).suffix.lower() not in FORMATS:
            parser.error(f'--out {args.out}: give a name that ends in {", ".join(FORMATS)}')
    return args


def read_logs(runs: Sequence[str]) -> Logs:
    """Reads runs, given as ``NAME=RUN`` or ``RUN``, and prints what is odd about their logs; returns names and logs."""
    entries = [_name_and_run(run) for run in runs]
    defaults = unique_names([run for _, run in entries])
    logs = []
    for (name, run), default in zip(entries, defaults, strict=True):
        logs.append((name or default, read_training_log(run)))
        for note in logs[-1][1].notes:
            print(f'note: {note}')
    return logs


def _name_and_run(text: str) -> tuple[str, str]:
    name, separator, run = text.partition('=')
    return (name, run) if separator and not Path(text).exists() else ('', text)


def groups_of(args: argparse.Namespace, logs: Logs) -> dict[str, list[TrainingLog]]:
    """Groups the runs to average by name; without ``--mean`` each run is alone."""
    named = any(name for name, log in logs if [other for other, _ in logs].count(name) > 1)
    groups: dict[str, list[TrainingLog]] = {}
    for name, log in logs:
        key = name if named or not args.mean else f'mean of {len(logs)} runs'
        groups.setdefault(key, []).append(log)
    return groups


def curves_of(args: argparse.Namespace, logs: Logs) -> list[Curve]:
    """Makes the wanted curves, run after run; a ValueError if a run lacks a key or the legend does not fit."""
    by_epoch = args.by == 'epoch'
    sets = groups_of(args, logs).items() if args.mean else [(name, [log]) for name, log in logs]
    curves = []
    for color, (name, of_set) in enumerate(sets):
        keys = list(dict.fromkeys(key for wanted in args.keys for key in of_set[0].find(wanted)))
        for style, key in enumerate(keys):
            parts = [
                Curve(
                    f'{name} {key}',
                    *log.values(log.find(key)[0], by_epoch),
                    color=color,
                    style=color + style,
                    unit=unit_of(key),
                )
                for log in of_set
            ]
            curves.append(mean_curve(parts[0].label, parts) if args.mean else parts[0])
    if args.legend and len(args.legend) != len(curves):
        raise ValueError(
            f'--legend has {len(args.legend)} names, but there are {len(curves)} curves: '
            f'{", ".join(curve.label for curve in curves)}'
        )
    labels = args.legend or [curve.label for curve in curves]
    return [replace(curve, label=label) for curve, label in zip(curves, labels, strict=True)]


def plot_curve(args: argparse.Namespace, logs: Logs) -> None:
    """Draws curves."""
    if args.by == 'epoch' and any(log.epoch_length is None for _, log in logs):
        args.by = 'iter'
    curves = curves_of(args, logs)
    draw_curves(args.out, curves, 'epoch' if args.by == 'epoch' else 'iteration', args.title, args.size)
    print(f'{args.out}: {len(curves)} curves')


def time_table(logs: Logs, include_outliers: bool) -> str:
    """Draws the table of times, a row per run; for ``include_outliers`` see :func:`train_time`."""
    rows = [['run', 'epochs', 'iterations', 's / iter', 'data', 'slowest epoch', 'fastest epoch', 'over epochs', 'MiB']]
    for name, log in logs:
        found = train_time(log, include_outliers)
        of = found.of_epochs
        ends = [f'{end(of, key=of.get)}: {end(of.values()):.4f}' if of else '-' for end in (max, min)]
        spread = f'+- {stdev(of.values()):.4f}' if len(of) > 1 else '-'
        memory = '-' if found.memory is None else f'{found.memory:.0f}'
        loading = f'{100 * found.data_fraction:.0f} %'
        counts = [found.epochs or '-', found.iterations]
        rows.append([name, *counts, f'{found.per_iteration:.4f}', loading, *ends, spread, memory])
    return AsciiTable(rows).table


def metric_rows(log: TrainingLog, wanted: Sequence[str] | None) -> list[tuple[str, float, str, float, str]]:
    """Lists key, last value and its position, best value (lowest for a loss) and its position."""
    if wanted is None:
        plain = {key.rpartition('/')[2] for key in log.keys}
        wanted = [metric for metric in METRICS if metric in plain]
    rows = []
    for key in dict.fromkeys(name for entry in wanted for name in log.find(entry)):
        steps, values = log.values(key)
        order = values if 'loss' in key else -values
        best = int(np.argmin(np.where(np.isnan(order), math.inf, order)))
        rows.append((key, values[-1], f'{steps[-1]:g}', values[best], f'{steps[best]:g}'))
    return rows


def summary(args: argparse.Namespace, logs: Logs) -> None:
    """Prints times and metrics."""
    trained = [(name, log) for name, log in logs if any('time' in row for row in log.train.values())]
    if trained:
        print(time_table(trained, args.include_outliers))
    of_runs = [(name, log, metric_rows(log, args.keys)) for name, log in logs]
    rows = [[name, key, f'{last:.4g}', at, f'{best:.4g}', where]
            for name, _, found in of_runs for key, last, at, best, where in found]  # fmt: skip
    if not rows:
        print('no metric was logged yet')
        return
    print(AsciiTable([['run', 'metric', 'last', 'at', 'best', 'at'], *rows]).table)
    if args.mean:
        print(AsciiTable([['runs', 'metric', 'last', 'best', 'count'], *mean_rows(args, logs)]).table)


def mean_rows(args: argparse.Namespace, logs: Logs) -> list[list[str]]:
    """Averages metrics over runs: name, key, mean and deviation of the last and the best values, number of runs."""
    rows = []
    for name, of_set in groups_of(args, logs).items():
        found: dict[str, list[tuple[float, float]]] = {}
        for log in of_set:
            for key, last, _, best, _ in metric_rows(log, args.keys):
                found.setdefault(key, []).append((last, best))
        for key, values in found.items():
            rows.append([name, key, *map(_spread, zip(*values, strict=True)), str(len(values))])
    return rows


def _spread(values: Sequence[float]) -> str:
    return f'{mean(values):.4g} +- {stdev(values):.2g}' if len(values) > 1 else f'{values[0]:.4g}'


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the sub-command."""
    args = parse_args(argv)
    logs = read_logs(args.runs)
    if args.task == 'plot_curve':
        plot_curve(args, logs)
    elif args.task == 'cal_train_time':
        print(time_table(logs, args.include_outliers))
    else:
        summary(args, logs)


if __name__ == '__main__':
    with one_line_errors():
        main()
