# Copyright (c) mmreid contributors. All rights reserved.
"""Finished runs of a comparison, one JSON line each, and the tables that are made of them."""

import hashlib
import json
import re
from pathlib import Path
from statistics import mean, stdev

from terminaltables import GithubFlavoredMarkdownTable

from mmreid.utils.atomic_io import atomic_write


def settings_hash(*decisive: object) -> str:
    """Names everything that results depend on, so that lines of other settings are left out of a table."""
    return hashlib.sha256(json.dumps(decisive, sort_keys=True, default=str).encode()).hexdigest()[:8]


class Results:
    """The finished runs: one JSON line each. Several processes may add to a file, for different seeds or rows.

    Args:
        path (Path): The file.
        settings (str): Lines of other settings are kept but not used.
    """

    def __init__(self, path: Path, settings: str) -> None:
        self.path, self.settings = path, settings

    @property
    def lines(self) -> list[dict]:
        """list[dict]: All finished runs of these settings."""
        lines = self.path.read_text().splitlines() if self.path.is_file() else []
        return [line for line in map(_parsed, lines) if line.get('settings') == self.settings]

    def find(self, seed: int, row: str, **same) -> dict | None:
        """Finds the last run of a row and seed that has these values."""
        same.update(seed=seed, row=row)
        return next((line for line in reversed(self.lines) if same.items() <= _hashable(line).items()), None)

    def add(self, seed: int, row: str, **values) -> dict:
        """Writes a run down."""
        line = dict(settings=self.settings, seed=seed, row=row, **values)
        with self.path.open('a') as file:
            file.write('\n' + json.dumps(line))  # the line before may have been cut off
        return line


def save_lines(lines: list[dict], path: Path) -> None:
    """Writes the runs of a table down beside its README: they are what the table can be made from again."""
    atomic_write(path, lambda file: file.write(''.join(json.dumps(line) + '\n' for line in lines).encode()))


def _parsed(line: str) -> dict:
    try:
        return json.loads(line)
    except json.JSONDecodeError:  # cut off in the middle; the run is done again
        return {}


def _hashable(line: dict) -> dict:
    return {name: value for name, value in line.items() if isinstance(value, (str, int))}


def spread(values: list[float], form: str = '.1f') -> str:
    """Writes mean and standard deviation."""
    text = format(mean(values), form)
    return f'{text} ± {format(stdev(values), form.lstrip("+"))}' if len(values) > 1 else text


def table(rows: list[list[str]]) -> str:
    """Makes a table that a terminal and a README show alike; the first row is the head."""
    return GithubFlavoredMarkdownTable(rows).table


def write_section(readme: Path, name: str, text: str) -> None:
    """Replaces what stands in a README between ``<!-- name -->`` and ``<!-- end of name -->``.

    Args:
        readme (Path): The file.
        name (str): Name of the section.
        text (str): Its new content.

    Raises:
        ValueError: If there is no such section.
    """
    start, end = f'<!-- {name} -->', f'<!-- end of {name} -->'
    content = readme.read_text()
    if content.count(start) != 1 or content.count(end) != 1:
        raise ValueError(f'{readme} needs one line {start} and one line {end} to write the table between')
    filled = re.sub(f'{start}.*{end}', lambda _: f'{start}\n{text}\n{end}', content, flags=re.S)
    atomic_write(readme, lambda file: file.write(filled.encode()))
