# Copyright (c) mmreid contributors. All rights reserved.
"""Overlaps of sparse rows on the CPU, in a loop that ``counting_numba.run`` compiles."""

import numpy as np


def sum_overlaps(overlap, start, column, value, other_start, other_column, other_value, first, last):
    """Sums the lower of the two entries over the columns that a row and another row share.

    Sums are in float64 and in the order of the columns, so that they equal those of ``np.bincount``.

    Args:
        overlap (np.ndarray): The sums are written here, shape (B, G).
        start (np.ndarray): Where the entries of each row start, shape (B + 1,).
        column (np.ndarray): Columns of the entries of the rows.
        value (np.ndarray): The entries.
        other_start (np.ndarray): Where the entries of each column of the G other rows start.
        other_column (np.ndarray): The other rows these entries are from, column by column.
        other_value (np.ndarray): The entries.
        first (int): First row.
        last (int): The row to stop before.
    """
    total = np.zeros(overlap.shape[1])
    for i in range(first, last):
        total[:] = 0
        for entry in range(start[i], start[i + 1]):
            for place in range(other_start[column[entry]], other_start[column[entry] + 1]):
                total[other_column[place]] += min(value[entry], other_value[place])
        overlap[i] = total
