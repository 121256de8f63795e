# Copyright (c) mmreid contributors. All rights reserved.
"""Puts results of ``tools/test.py --out FILE.json`` side by side: ``compare_results.py 'name=FILE.json' ...``."""

import argparse
from pathlib import Path

from terminaltables import AsciiTable

from mmreid.utils.json_text import is_number, parse_json
from mmreid.utils.one_line_errors import one_line_errors

METRICS = ('mAP', 'mINP', 'Rank-1', 'Rank-5', 'Rank-10')


def read_metrics(path: str | Path) -> dict[str, dict[str, float]]:
    """Reads ``<data set>/<metric>`` to value from a JSON file, as values by data set and metric."""
    try:
        results = parse_json(Path(path).read_text(encoding='utf-8'))
        if not isinstance(results, dict):
            raise ValueError('it holds no entries')
    except (OSError, ValueError) as error:
        raise ValueError(f'{path} is no results file ({error}); make it with tools/test.py ... --out {path}') from error
    sets: dict[str, dict[str, float]] = {}
    for key, value in results.items():
        name, _, metric = key.rpartition('/')
        if not is_number(value) and not metric.endswith('_trials'):
            raise ValueError(f'{path} has {value!r:.100} as its {key:.200}, which is not a number; test again')
        sets.setdefault(name, {})[metric] = value
    return sets


def split_entry(entry: str) -> tuple[str, str]:
    """Splits ``NAME=FILE``, where both may contain ``=``: FILE is the longest ending that is a file."""
    parts = entry.split('=')
    endings = [('='.join(parts[:place]), '='.join(parts[place:])) for place in range(1, len(parts))]
    return next((pair for pair in endings if Path(pair[1]).is_file()), endings[0] if endings else (entry, ''))


def main() -> None:
    """Prints a row per result and data set."""
    parser = argparse.ArgumentParser(description='Compare results')
    parser.add_argument('results', nargs='+', metavar='NAME=FILE', help='what to call a result, and its JSON file')
    parser.add_argument('--metrics', nargs='+', default=METRICS, help='columns')
    args = parser.parse_args()
    rows = []
    for entry in args.results:
        name, path = split_entry(entry)
        if not path:
            parser.error(f"'{entry}' is not NAME=FILE")
        for data_set, metrics in read_metrics(path).items():
            cells = [f'{metrics[metric]:.1f}' if metric in metrics else '' for metric in args.metrics]
            rows.append([name, data_set, *cells])
    table = AsciiTable([['', 'data set', *args.metrics], *rows])
    table.justify_columns = {column: 'right' for column in range(2, 2 + len(args.metrics))}
    print(table.table)


if __name__ == '__main__':
    with one_line_errors():
        main()
