# Copyright (c) mmreid contributors. All rights reserved.
"""CSV files whose texts a spreadsheet shows, and never runs."""

import csv
import io
import os
from collections.abc import Iterable, Sequence
from typing import Any

from .atomic_io import atomic_write

_FORMULA = ('=', '+', '-', '@', '\t', '\r')


def write_csv(path: str | os.PathLike, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Writes a table; a text that a spreadsheet would run as a formula, such as a file name ``=...``, gets a ``'``."""
    text = io.StringIO(newline='')
    writer = csv.writer(text)
    writer.writerow(header)
    for row in rows:
        writer.writerow([_harmless(value) for value in row])
    atomic_write(path, text.getvalue().encode('utf-8', 'surrogateescape'))


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
