# Copyright (c) mmreid contributors. All rights reserved.
"""Top-k lists on the CPU, in loops that ``counting_numba.run`` compiles.

A list is sorted: best score first, equal scores in the order of images. Images must be pushed in ascending order. Most
scores are far below the worst of a list, so a run of scores is compared at once and examined only if one is above.
"""

import numpy as np

RUN = 32


def push_rows(rows, first_image, index, score, first, last):
    """Pushes the scores of each row into the list of that row.

    Args:
        rows (np.ndarray): Scores, shape (R, C), free of NaN.
        first_image (int): Image of the first column.
        index (np.ndarray): Images of the lists, shape (R, K), int64.
        score (np.ndarray): Their scores, -inf where the list is not full yet; likewise.
        first (int): First row.
        last (int): The row to stop before.
    """
    num_columns, k = rows.shape[1], index.shape[1]
    for i in range(first, last):
        for left in range(0, num_columns, RUN):
            tile = rows[i, left : min(left + RUN, num_columns)]
            worst = score[i, k - 1]
            above = np.uint32(0)
            for j in range(tile.shape[0]):
                above = np.uint32(above + np.uint32(tile[j] > worst))
            if above == 0:
                continue
            for j in range(tile.shape[0]):
                value = tile[j]
                if value > score[i, k - 1]:
                    place = k - 1
                    while place > 0 and value > score[i, place - 1]:
                        score[i, place] = score[i, place - 1]
                        index[i, place] = index[i, place - 1]
                        place -= 1
                    score[i, place] = value
                    index[i, place] = first_image + left + j


def push_columns(columns, first_image, index, score, worst, first, last):
    """Pushes the scores of each column of a tile into the list of that column.

    Args:
        columns (np.ndarray): The tile, transposed as a view, shape (C, R).
        first_image (int): Image of the first row of the tile.
        index (np.ndarray): Images of the lists, shape (C, K), int64.
        score (np.ndarray): Their scores; likewise.
        worst (np.ndarray): The last score of each list, shape (C,); updated.
        first (int): First column.
        last (int): The column to stop before.
    """
    rows, k = columns.T, index.shape[1]
    for left in range(first, last, RUN):
        right = min(left + RUN, last)
        for i in range(rows.shape[0]):
            tile, limits = rows[i, left:right], worst[left:right]
            above = np.uint32(0)
            for j in range(tile.shape[0]):
                above = np.uint32(above + np.uint32(tile[j] > limits[j]))
            if above == 0:
                continue
            for j in range(tile.shape[0]):
                value = tile[j]
                if value > limits[j]:
                    column, place = left + j, k - 1
                    while place > 0 and value > score[column, place - 1]:
                        score[column, place] = score[column, place - 1]
                        index[column, place] = index[column, place - 1]
                        place -= 1
                    score[column, place] = value
                    index[column, place] = first_image + i
                    limits[j] = score[column, k - 1]
