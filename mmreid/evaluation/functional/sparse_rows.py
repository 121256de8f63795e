# Copyright (c) mmreid contributors. All rights reserved.
"""Rows that are zero nearly everywhere, as NumPy arrays."""

from dataclasses import dataclass

import numpy as np

CHUNK = 1024


@dataclass
class SparseRows:
    """The non-zero entries of N rows, row by row.

    Attributes:
        start (np.ndarray): Where each row starts, and the end; shape (N + 1,), int64.
        column (np.ndarray): Columns of the entries, int32.
        value (np.ndarray): The entries, float32.
    """

    start: np.ndarray
    column: np.ndarray
    value: np.ndarray

    def __len__(self) -> int:
        return len(self.start) - 1

    @classmethod
    def of(cls, counts: np.ndarray, columns: np.ndarray, values: np.ndarray) -> 'SparseRows':
        """Makes rows.

        Args:
            counts (np.ndarray): Number of entries of each row, shape (N,).
            columns (np.ndarray): Their columns, row after row.
            values (np.ndarray): The entries.

        Returns:
            SparseRows: The rows.
        """
        start = np.concatenate([[0], np.cumsum(counts)])
        return cls(start, columns.astype(np.int32), values.astype(np.float32))

    def split(self, index: int) -> tuple['SparseRows', 'SparseRows']:
        """Gives the rows before an index, and the others."""
        cut = self.start[index]
        return (
            SparseRows(self.start[: index + 1], self.column[:cut], self.value[:cut]),
            SparseRows(self.start[index:] - cut, self.column[cut:], self.value[cut:]),
        )

    def row(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Gives the columns and the entries of a row."""
        part = slice(self.start[index], self.start[index + 1])
        return self.column[part], self.value[part]

    def places(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Tells where the entries of some rows are.

        Args:
            rows (np.ndarray): Rows, shape (R,); one may come more than once.

        Returns:
            tuple[np.ndarray, np.ndarray]: Places in ``column`` and ``value``, row after row; and how many each row has.
        """
        counts = self.start[rows + 1] - self.start[rows]
        before = np.cumsum(counts) - counts
        return np.repeat(self.start[rows] - before, counts) + np.arange(counts.sum()), counts

    def transposed(self, num_columns: int) -> 'SparseRows':
        """Turns columns into rows.

        Args:
            num_columns (int): Number of columns.

        Returns:
            SparseRows: That many rows.
        """
        order = np.argsort(self.column, kind='stable')
        rows = np.repeat(np.arange(len(self), dtype=np.int32), np.diff(self.start))
        counts = np.bincount(self.column, minlength=num_columns)
        return SparseRows(np.concatenate([[0], np.cumsum(counts)]), rows[order], self.value[order])


def mean_of_rows(rows: SparseRows, lists: np.ndarray) -> SparseRows:
    """Averages rows.

    Args:
        rows (SparseRows): N rows of N columns.
        lists (np.ndarray): Which rows to average, shape (N, K).

    Returns:
        SparseRows: Their means, N rows.
    """

    def mean(chunk: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        places, counts = rows.places(chunk.ravel())
        row = np.repeat(np.arange(chunk.size) // chunk.shape[1], counts)
        key = row * len(rows) + rows.column[places]
        order = np.argsort(key, kind='stable')  # stable: sums do not depend on the size of the chunk
        first, key = first_of_runs(key[order]), key[order]
        values = np.add.reduceat(rows.value[places][order], first) / np.float32(chunk.shape[1])
        column = (key[first] % len(rows)).astype(np.int32)
        return np.bincount(key[first] // len(rows), minlength=len(chunk)), column, values

    parts = [mean(lists[start : start + CHUNK]) for start in range(0, len(lists), CHUNK)]
    return SparseRows.of(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def first_of_runs(values: np.ndarray) -> np.ndarray:
    """Tells where equal values begin in a sorted array."""
    return np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]])[: len(values)])
