# Copyright (c) mmreid contributors. All rights reserved.
"""Sparse rows as NumPy arrays."""

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
        """Makes rows from the number of entries of each row (N,), and columns and values of all, row after row."""
        start = np.concatenate([[0], np.cumsum(counts)])
        return cls(start, columns.astype(np.int32), values.astype(np.float32))

    def split(self, index: int) -> tuple['SparseRows', 'SparseRows']:
        """Returns the rows before an index, and the rest."""
        cut = self.start[index]
        return (
            SparseRows(self.start[: index + 1], self.column[:cut], self.value[:cut]),
            SparseRows(self.start[index:] - cut, self.column[cut:], self.value[cut:]),
        )

    def row(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the columns and the entries of a row."""
        part = slice(self.start[index], self.start[index + 1])
        return self.column[part], self.value[part]

    def places(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the positions in ``column`` and ``value`` of the entries of rows (R,), and the number in each row."""
        counts = self.start[rows + 1] - self.start[rows]
        before = np.cumsum(counts) - counts
        return np.repeat(self.start[rows] - before, counts) + np.arange(counts.sum()), counts

    def transposed(self, num_columns: int) -> 'SparseRows':
        """Returns the transpose, which has ``num_columns`` rows."""
        order = np.argsort(self.column, kind='stable')
        rows = np.repeat(np.arange(len(self), dtype=np.int32), np.diff(self.start))
        counts = np.bincount(self.column, minlength=num_columns)
        return SparseRows(np.concatenate([[0], np.cumsum(counts)]), rows[order], self.value[order])


def mean_of_rows(rows: SparseRows, lists: np.ndarray) -> SparseRows:
    """Averages, for each of N rows, the rows in its list; ``lists`` has shape (N, K)."""

    def mean(chunk: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        places, counts = rows.places(chunk.ravel())
        row = np.repeat(np.arange(chunk.size) // chunk.shape[1], counts)
        key = row * len(rows) + rows.column[places]
        order = np.argsort(key, kind='stable')  # stable, so that sums do not depend on the chunk size
        first, key = first_of_runs(key[order]), key[order]
        values = np.add.reduceat(rows.value[places][order], first) / np.float32(chunk.shape[1])
        column = (key[first] % len(rows)).astype(np.int32)
        return np.bincount(key[first] // len(rows), minlength=len(chunk)), column, values

    parts = [mean(lists[start : start + CHUNK]) for start in range(0, len(lists), CHUNK)]
    return SparseRows.of(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def first_of_runs(values: np.ndarray) -> np.ndarray:
    """Returns where each run of equal values begins in a sorted array."""
    return np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]])[: len(values)])
