# Copyright (c) mmreid contributors. All rights reserved.
"""The first gallery images of each query, without sorting the rest."""

import math

import torch

CHUNK_ELEMENTS = 2**20


def top_lists(rows: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Lists the first images of each row, best first, equal scores in gallery order.

    Args:
        rows (torch.Tensor): Scores, shape (B, G); NaN marks what is left out.
        count (int): How many to list.

    Returns:
        tuple[torch.Tensor, torch.Tensor]: Gallery indices, shape (B, count), int64, -1 if there are fewer; and their
        scores, NaN there; on the CPU.
    """
    indices = torch.full((len(rows), count), -1, dtype=torch.int64)
    scores = torch.full((len(rows), count), math.nan, dtype=rows.dtype)
    step = max(1, CHUNK_ELEMENTS // rows.shape[1])
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        _fill(rows[part], indices[part], scores[part])
    return indices, scores


def _fill(rows: torch.Tensor, indices: torch.Tensor, scores: torch.Tensor) -> None:
    count = min(indices.shape[1], rows.shape[1])
    lowest = rows.nan_to_num(nan=-math.inf, posinf=math.inf, neginf=-math.inf).topk(count).values[:, -1:]
    # torch does not define which of several images with the last score topk takes: take the first in the gallery.
    above, equal = rows > lowest, rows == lowest
    chosen = above | (equal & (equal.cumsum(1) <= count - above.sum(1, keepdim=True)))
    row, column = chosen.nonzero(as_tuple=True)
    score = rows[row, column].cpu()
    row, column = row.cpu(), column.cpu()
    order = score.argsort(descending=True, stable=True)
    order = order[row[order].argsort(stable=True)]
    row, column, score = row[order], column[order], score[order]
    slot = torch.arange(len(row)) - torch.searchsorted(row, row)
    indices[row, slot], scores[row, slot] = column, score
