# Copyright (c) mmreid contributors. All rights reserved.
"""Ranks without sorting, by counting what is ahead of a match. Compiled on the CPU, plain torch elsewhere."""

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
        tuple[torch.Tensor, torch.Tensor]: Ranks (N,) and the number of NaN in each row (B,), int64, on the CPU.
    """
    if _compiles(rows, len(row) * rows.shape[1] if work is None else work):
        ranks, nans = torch.ones_like(row), torch.zeros(len(rows), dtype=torch.int64)
        starts = torch.searchsorted(row, torch.arange(len(rows) + 1))
        counting_numba.run(counting_numba.count_ahead, rows, starts, column, ranks, nans)
        return ranks, nans
    ranks = [torch.zeros(0, dtype=torch.int64)]
    step = _rows_per_chunk(rows)
    for i, j in zip(row.to(rows.device).split(step), column.to(rows.device).split(step), strict=True):
        ranks.append(1 + _ahead(rows[i], j).sum(1).cpu())
    return torch.cat(ranks), rows.isnan().sum(1).cpu()


def ids_ahead(
    rows: torch.Tensor, column: torch.Tensor, codes: torch.Tensor, num_ids: int, work: int | None = None
) -> torch.Tensor:
    """Counts the distinct identities that have an image ahead of one image of each row.

    Args:
        rows (torch.Tensor): Scores, shape (B, G); NaN marks what is left out.
        column (torch.Tensor): Gallery index of that image, -1 where there is none; shape (B,), int64, on the CPU.
        codes (torch.Tensor): Identities of the gallery, 0..num_ids - 1; shape (G,), int64.
        num_ids (int): Their number.
        work (int, optional): See :func:`ranks_of`.

    Returns:
        torch.Tensor: Shape (B,), int64, on the CPU; 0 where there is no such image.
    """
    if _compiles(rows, rows.numel() if work is None else work):
        counts = torch.empty_like(column)
        counting_numba.run(counting_numba.count_ids_ahead, rows, column, codes, num_ids, counts)
        return counts
    counts = []
    step = _rows_per_chunk(rows)
    codes = codes.to(rows.device)
    for part, j in zip(rows.split(step), column.to(rows.device).split(step), strict=True):
        images = torch.zeros(len(part), num_ids, dtype=torch.int32, device=rows.device)
        images.index_add_(1, codes, _ahead(part, j.clamp_min(0)).int())
        counts.append(((images > 0).sum(1) * (j >= 0)).cpu())
    return torch.cat(counts)


def take_columns(rows: torch.Tensor, columns: torch.Tensor, work: int) -> torch.Tensor:
    """Returns the ``columns`` (H,), on the CPU, of ``rows`` (B, G); for ``work`` see :func:`ranks_of`."""
    if not _compiles(rows, work):
        return rows.index_select(1, columns.to(rows.device))
    taken = rows.new_empty(len(rows), len(columns))
    counting_numba.run(counting_numba.take_columns, rows, columns, taken)
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
