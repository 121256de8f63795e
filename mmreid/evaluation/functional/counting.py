# Copyright (c) mmreid contributors. All rights reserved.
"""Ranks without sorting, by counting what is ahead of a match. Compiled on the CPU, plain torch elsewhere."""

import numpy as np
import torch

from . import counting_numba

CHUNK_ELEMENTS = 2**20  # stay in the cache of a CPU
CHUNK_ELEMENTS_ELSEWHERE = 2**24


def ranks_of(
    rows: torch.Tensor, row: torch.Tensor, column: torch.Tensor, work: int | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Ranks some images within their rows: 1 + images with a higher score, or an equal score and a lower index.

    Args:
        rows (torch.Tensor): Scores, shape (B, G); NaN marks what is left out.
        row (torch.Tensor): Rows of the images to rank, sorted; shape (N,), int64, on the CPU.
        column (torch.Tensor): Their columns, likewise.
        work (int, optional): Comparisons of this and all later calls, which decide whether to compile. Defaults to
            those of this call.

    Returns:
        tuple[torch.Tensor, torch.Tensor]: Ranks (N,) and the number of NaN in each row (B,), int64; on the device of
        the scores, for which nothing waits.
    """
    if _compiles(rows, len(row) * rows.shape[1] if work is None else work):
        ranks, nans = torch.ones_like(row), torch.zeros(len(rows), dtype=torch.int64)
        starts = np.searchsorted(row.numpy(), np.arange(len(rows) + 1))
        counting_numba.run(counting_numba.count_ahead, rows, starts, column, ranks, nans)
        return ranks, nans
    ranks = [torch.zeros(0, dtype=torch.int64, device=rows.device)]
    step = _rows_per_chunk(rows)
    pairs = (index.to(rows.device, non_blocking=True).split(step) for index in (row, column))
    for i, j in zip(*pairs, strict=True):
        ranks.append(1 + _ahead(rows[i], j).sum(1))
    return torch.cat(ranks), rows.isnan().sum(1)


def first_matches(ranks: torch.Tensor, row: torch.Tensor, column: torch.Tensor, num_rows: int) -> torch.Tensor:
    """Returns the column of the first match of each row.

    Args:
        ranks (torch.Tensor): Ranks of the matches, shape (N,), int64.
        row (torch.Tensor): Their rows, likewise, on the CPU.
        column (torch.Tensor): Their columns, likewise.
        num_rows (int): Number of rows.

    Returns:
        torch.Tensor: Shape (B,), int64, -1 where there is no match; on the device of the ranks.
    """
    row, column = (index.to(ranks.device, non_blocking=True) for index in (row, column))
    lowest = torch.full((num_rows,), torch.iinfo(torch.int64).max, device=ranks.device)
    lowest.scatter_reduce_(0, row, ranks, 'amin')
    first = torch.full((num_rows,), -1, device=ranks.device)
    return first.scatter_reduce_(0, row, column.where(ranks == lowest[row], -1), 'amax')


def ids_ahead(
    rows: torch.Tensor, column: torch.Tensor, codes: torch.Tensor, num_ids: int, work: int | None = None
) -> torch.Tensor:
    """Counts the distinct identities that have an image ahead of one image of each row.

    Args:
        rows (torch.Tensor): Scores, shape (B, G); NaN marks what is left out.
        column (torch.Tensor): Gallery index of that image, -1 where there is none; shape (B,), int64, on the device of
            the scores.
        codes (torch.Tensor): Identities of the gallery, 0..num_ids - 1; shape (G,), int64.
        num_ids (int): Their number.
        work (int, optional): See :func:`ranks_of`.

    Returns:
        torch.Tensor: Shape (B,), int64; 0 where there is no such image; likewise, and nothing waits for it.
    """
    if _compiles(rows, rows.numel() if work is None else work):
        counts = torch.empty_like(column)
        counting_numba.run(counting_numba.count_ids_ahead, rows, column, codes, num_ids, counts)
        return counts
    counts = []
    step = _rows_per_chunk(rows)
    codes = codes.to(rows.device, non_blocking=True)
    for part, j in zip(rows.split(step), column.split(step), strict=True):
        images = torch.zeros(len(part), num_ids, dtype=torch.int32, device=rows.device)
        images.index_add_(1, codes, _ahead(part, j.clamp_min(0)).int())
        counts.append((images > 0).sum(1) * (j >= 0))
    return torch.cat(counts)


def take_columns(rows: torch.Tensor, columns: torch.Tensor, work: int) -> torch.Tensor:
    """Returns the ``columns`` (H,), int64, of ``rows`` (B, G) on the same device; for ``work`` see :func:`ranks_of`."""
    if not _compiles(rows, work):
        return rows.index_select(1, columns)
    taken = rows.new_empty(len(rows), len(columns))
    # Unsigned, as the code for negative indices would take half of the time.
    counting_numba.run(counting_numba.take_columns, rows, columns.numpy().view(np.uint64), taken)
    return taken


def _compiles(rows: torch.Tensor, work: int) -> bool:
    worthwhile = work >= counting_numba.WORTHWHILE or counting_numba.is_loaded()
    return rows.device.type == 'cpu' and worthwhile and counting_numba.available()


def _rows_per_chunk(rows: torch.Tensor) -> int:
    elements = CHUNK_ELEMENTS if rows.device.type == 'cpu' else CHUNK_ELEMENTS_ELSEWHERE
    return max(1, elements // rows.shape[1])


def _ahead(rows: torch.Tensor, column: torch.Tensor) -> torch.Tensor:
    """Returns which images of each row are ahead of the one at ``column``, (B, G), bool."""
    column = column[:, None]
    score = rows.gather(1, column)
    place = torch.arange(rows.shape[1], device=rows.device)
    return (rows > score) | ((rows == score) & (place < column))
