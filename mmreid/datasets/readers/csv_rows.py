# Copyright (c) mmreid contributors. All rights reserved.
"""Reads CSV files that were written by hand, with Excel or by a script."""

import csv
import difflib
import io
import logging
import math
import posixpath
import re
from pathlib import Path

from mmengine.logging import print_log

REQUIRED = ('img_path', 'pid')
OPTIONAL = ('camid', 'split', 'modality', 'timestamp')
SPLITS = ('train', 'val', 'query', 'gallery')
DELIMITERS = (',', ';', '\t')
LINE = '_line'


def read_csv_rows(path: str | Path) -> list[dict]:
    """Reads and checks the rows of a CSV file; other columns are kept.

    Cells may be separated by commas, semicolons (Excel in many countries) or tabs, whichever the header uses. A byte
    order mark, any line ends, blank rows and backslashes in paths are fine. Repeated rows are dropped and counted in a
    warning.

    Args:
        path (str | Path): The file, UTF-8. Its first line names the columns: ``img_path``, ``pid``, and optionally
            ``camid``, ``split``, ``modality``, ``timestamp``.

    Returns:
        list[dict]: Cells by column name, stripped; ``timestamp`` is a float or None, and ``_line`` the line number.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If it is not UTF-8, lacks a column, has a column that is almost called like an optional one, has a
            malformed row, or contradicts itself about an image.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f'{path} does not exist; give a CSV file with the columns {", ".join(REQUIRED)} and optionally '
            f'{", ".join(OPTIONAL)}'
        )
    try:
        text = path.read_bytes().decode('utf-8-sig')
    except UnicodeDecodeError as error:
        raise ValueError(f'{path} is not UTF-8 text ({error}); save it as CSV UTF-8') from error
    with io.StringIO(text, newline='') as file:
        reader = csv.reader(file, delimiter=_delimiter(text), skipinitialspace=True, strict=True)
        try:
            columns = [cell.strip() for cell in next(reader, [])]
            _check_columns(columns, path)
            rows = [
                _row(columns, [cell.strip() for cell in cells], f'{path} line {reader.line_num}', reader.line_num)
                for cells in reader
                if any(cell.strip() for cell in cells)
            ]
        except csv.Error as error:
            raise ValueError(
                f'{path} line {reader.line_num} is not valid CSV ({error}); is a quotation mark open there or above?'
            ) from error
    if not rows:
        raise ValueError(f'{path} has a header but no rows; list one image per row')
    return _without_repetitions(rows, path)


def _delimiter(text: str) -> str:
    header = text.splitlines()[0] if text else ''
    for delimiter in DELIMITERS:
        if set(REQUIRED) <= {cell.strip(' "') for cell in header.split(delimiter)}:
            return delimiter
    return ','


def _check_columns(columns: list[str], path: Path) -> None:
    near = {column: _meant(column, columns) for column in columns}
    missing = [column for column in REQUIRED if column not in columns]
    if missing:
        hint = ''.join(f"; did you mean '{name}' by '{column}'?" for column, name in near.items() if name in missing)
        raise ValueError(
            f'{path} lacks the column(s) {", ".join(missing)}; its first line must name the columns, with commas '
            f'between them, but is {columns}{hint}'
        )
    for column, name in near.items():
        if name:
            raise ValueError(
                f"{path} has a column '{column}', which is not read; did you mean '{name}'? (Give a column of your "
                'own a less similar name.)'
            )
    twice = [column for column in columns if column and columns.count(column) > 1]
    if twice:
        raise ValueError(f"{path} has two columns '{twice[0]}'; remove one")


def _meant(column: str, columns: list[str]) -> str | None:
    """Returns which of the missing known columns this one was probably meant to be."""
    absent = [name for name in (*REQUIRED, *OPTIONAL) if name not in columns]
    plain = re.sub(r'[\W_]', '', column.lower())
    if not plain or column in (*REQUIRED, *OPTIONAL):
        return None
    if 'camid' in absent and re.fullmatch(r'cam(era)?(s|ids?|no|num|nr|number|name|index|idx)?', plain):
        return 'camid'
    near = difflib.get_close_matches(plain, [name.replace('_', '') for name in absent], 1, 0.8)
    return next((name for name in absent if name.replace('_', '') in near), None)


def _row(columns: list[str], cells: list[str], place: str, line: int) -> dict:
    if any('\n' in cell or '\r' in cell for cell in cells):
        raise ValueError(f'{place}: a cell spans several lines; is a quotation mark open there or above?')
    row = dict(zip(columns, cells, strict=False))
    if len(cells) != len(columns) or not row['img_path'] or not row['pid']:
        raise ValueError(f'{place}: expected {len(columns)} cells with img_path and pid filled, got {cells}')
    for column in (*REQUIRED, *OPTIONAL):
        if any(ord(letter) < 32 or ord(letter) == 127 for letter in row.get(column, '')):
            raise ValueError(f'{place}: {column} {row[column]!r} holds a control character; remove it')
    if row.get('split', 'train') not in SPLITS:
        raise ValueError(f"{place}: split '{row['split']}' is not {', '.join(SPLITS[:-1])} or {SPLITS[-1]}")
    if row.get('modality', '') not in ('', 'visible', 'infrared'):
        raise ValueError(f"{place}: modality '{row['modality']}' is not visible or infrared")
    row['img_path'] = row['img_path'].replace('\\', '/')
    if 'timestamp' in row:
        row['timestamp'] = _seconds(row['timestamp'], place)
    return row | {LINE: line}


def _seconds(text: str, place: str) -> float | None:
    try:
        seconds = float(text) if text else None
    except ValueError:
        seconds = math.nan
    if seconds is not None and not math.isfinite(seconds):
        raise ValueError(f"{place}: timestamp '{text}' is not a number of seconds, such as 12.5")
    return seconds


def _without_repetitions(rows: list[dict], path: Path) -> list[dict]:
    first: dict[str, dict] = {}
    for row in rows:
        before = first.setdefault(posixpath.normpath(row['img_path']), row)
        for column in ('pid', *OPTIONAL):
            if row.get(column) != before.get(column):
                raise ValueError(
                    f"{path} line {row[LINE]}: {row['img_path']} has the {column} '{row[column]}' here and "
                    f"'{before[column]}' on line {before[LINE]}; keep the right row only"
                )
    if len(first) < len(rows):
        print_log(
            f'{path}: {len(rows) - len(first)} repeated rows were dropped',
            logger='current',
            level=logging.WARNING,
        )
    return list(first.values())
