# Copyright (c) mmreid contributors. All rights reserved.
"""The first gallery images of each query, without sorting the rest."""

import math

import torch
from torch import Tensor

CHUNK_ELEMENTS = 2**20  # scores whose lists are found together: on a CPU they stay in its cache
BYTES_PER_ELEMENT = 32  # of what finding lists holds on a device


def top_lists(rows: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Lists the first images of each row, best first, equal scores in gallery order.

    Args:
        rows (torch.Tensor): Scores, shape (B, G); NaN marks what is left out.
        count (int): How many to list.

    Returns:
        tuple[torch.Tensor, torch.Tensor]: Gallery indices, shape (B, count), int64, -1 if there are fewer; and their
        scores, NaN there; on the device of the scores, for which nothing waits.
    """
    indices = torch.full((len(rows), count), -1, dtype=torch.int64, device=rows.device)
    scores = torch.full((len(rows), count), math.nan, dtype=rows.dtype, device=rows.device)
    fill = _fill if rows.device.type == 'cpu' else _fill_on_device
    step = max(1, _chunk_elements(rows.device) // rows.shape[1])
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        fill(rows[part], indices[part], scores[part])
    return indices, scores


def _chunk_elements(device: torch.device) -> int:
    """Returns how many scores to handle at a time; on a GPU, they take a quarter of its free memory at most."""
    if device.type != 'cuda':
        return CHUNK_ELEMENTS
    return max(CHUNK_ELEMENTS, torch.cuda.mem_get_info(device)[0] // (4 * BYTES_PER_ELEMENT))


def _choose(rows: Tensor, count: int) -> Tensor:
    """Marks the first images of each row; torch does not define which of several with the last score topk takes."""
    lowest = rows.nan_to_num(nan=-math.inf, posinf=math.inf, neginf=-math.inf).topk(count).values[:, -1:]
    above, equal = rows > lowest, rows == lowest
    return above | (equal & (equal.cumsum(1, dtype=torch.int32) <= count - above.sum(1, keepdim=True)))


def _fill(rows: Tensor, indices: Tensor, scores: Tensor) -> None:
    row, column = _choose(rows, min(indices.shape[1], rows.shape[1])).nonzero(as_tuple=True)
    score = rows[row, column]
    order = score.argsort(descending=True, stable=True)
    order = order[row[order].argsort(stable=True)]
    row, column, score = row[order], column[order], score[order]
    slot = torch.arange(len(row)) - torch.searchsorted(row, row)
    indices[row, slot], scores[row, slot] = column, score


def _fill_on_device(rows: Tensor, indices: Tensor, scores: Tensor) -> None:
    """Does the same by operations whose results have a known size, so that the host need not wait for one."""
    width = rows.shape[1]
    count = min(indices.shape[1], width)
    places = torch.arange(width, dtype=torch.int32, device=rows.device)
    # In ascending order; the width stands for what a row lacks.
    column = places.where(_choose(rows, count), width).topk(count, largest=False, sorted=True).values.long()
    lacks = column == width
    score = rows.gather(1, column.clamp_max(width - 1)).masked_fill(lacks, -math.inf)
    order = score.argsort(descending=True, stable=True)
    lacks = lacks.gather(1, order)
    indices[:, :count] = column.gather(1, order).masked_fill(lacks, -1)
    scores[:, :count] = score.gather(1, order).masked_fill(lacks, math.nan)
