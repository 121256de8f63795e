# Copyright (c) mmreid contributors. All rights reserved.
"""The nearest images of every image, exact, block by block. Compiled on the CPU, plain torch elsewhere.

Both give equal results. Images with equal scores keep their order.
"""

import math
from dataclasses import dataclass

import torch

from mmreid.utils.progress import track

from . import nearest_numba
from .counting_numba import available, is_loaded, run
from .pair_scores import PairScores
from .score_blocks import ScoreBlocks
from .top_lists import top_lists

MEMORY = 2**27
MAX_ROWS = 512  # more rows in a block make the matrix product no faster
WORTHWHILE = 2**24  # scores for which loading the compiled code pays


@dataclass
class Nearest:
    """The nearest images of each image, on the CPU.

    Attributes:
        index (torch.Tensor): Images, nearest first, shape (N, K), int64.
        score (torch.Tensor): Their scores, likewise.
        lowest (torch.Tensor): The lowest score of each image, shape (N,).
    """

    index: torch.Tensor
    score: torch.Tensor
    lowest: torch.Tensor


@torch.no_grad()
def nearest_of_all(pairs: PairScores, k: int, memory: int = MEMORY) -> Nearest:
    """Finds the nearest images of each image among all images, itself included.

    The compiled path scores every pair once: a tile updates the lists of its rows and of its columns.

    Args:
        pairs (PairScores): Scores of any two of N images.
        k (int): How many to find, at most N.
        memory (int): Most bytes of scores at a time, at least one row. Defaults to 128 MiB.

    Returns:
        Nearest: Lists of shape (N, K).

    Raises:
        ValueError: If a score is NaN or -inf.
    """
    num = pairs.num_images
    k = min(k, num)
    step = _step(num, pairs.dtype.itemsize, memory)
    blocks = [slice(start, min(start + step, num)) for start in range(0, num, step)]
    if not _compiles(pairs.device, num * num):
        return _join(
            [_plain(pairs.tile(block, slice(0, num)), block, k) for block in track(blocks, 'finding neighbors')]
        )
    result = Nearest(
        torch.full((num, k), -1), torch.full((num, k), -math.inf, dtype=pairs.dtype), torch.full((num,), math.inf)
    )
    result.lowest = result.lowest.to(pairs.dtype)
    worst = torch.full((num,), -math.inf, dtype=pairs.dtype)
    for block in track(blocks, 'finding neighbors'):
        # Earlier images already saw this block as columns of their tiles, so each list sees ascending images.
        tile = pairs.tile(block, slice(block.start, num))
        rest = slice(block.stop, num)
        result.lowest[block] = torch.minimum(result.lowest[block], _lowest(tile, block))
        run(nearest_numba.push_rows, tile, block.start, result.index[block], result.score[block])
        if block.stop < num:
            columns = tile[:, block.stop - block.start :]
            result.lowest[rest] = torch.minimum(result.lowest[rest], columns.amin(0))
            lists = (result.index[rest], result.score[rest], worst[rest])
            run(nearest_numba.push_columns, columns.t(), block.start, *lists)
    return result


@torch.no_grad()
def nearest_in_gallery(scores: ScoreBlocks, num_query: int, num_gallery: int, k: int, memory: int = MEMORY) -> Nearest:
    """Finds the nearest gallery images of each query.

    Args:
        scores (ScoreBlocks): Scores of shape (Q, G).
        num_query (int): Q.
        num_gallery (int): G.
        k (int): How many to find, at most G.
        memory (int): Most bytes of scores at a time, at least one row. Defaults to 128 MiB.

    Returns:
        Nearest: Lists of shape (Q, K), gallery indices.

    Raises:
        ValueError: If a score is NaN or -inf.
    """
    k = min(k, num_gallery)
    step = _step(num_gallery, scores.element_size, memory)
    parts = []
    for start in range(0, num_query, step):
        block = slice(start, min(start + step, num_query))
        rows = scores.rows(block)
        if not _compiles(rows.device, num_query * num_gallery):
            parts.append(_plain(rows, block, k))
            continue
        index = torch.full((len(rows), k), -1)
        score = torch.full((len(rows), k), -math.inf, dtype=rows.dtype)
        parts.append(Nearest(index, score, _lowest(rows, block)))
        run(nearest_numba.push_rows, rows.contiguous(), 0, index, score)
    return _join(parts)


def _plain(rows: torch.Tensor, block: slice, k: int) -> Nearest:
    lowest = _lowest(rows, block)
    return Nearest(*top_lists(rows, k), lowest.cpu())


def _lowest(rows: torch.Tensor, block: slice) -> torch.Tensor:
    """Returns the lowest score of each row; raises ValueError if a score is NaN or -inf."""
    lowest = rows.amin(1)
    bad = ~lowest.isfinite()
    if bad.any():
        image = int(bad.nonzero()[0])
        raise ValueError(
            f'a score of image {block.start + image} (counted from the first query on) is {float(lowest[image])}; '
            'check the matcher and, under half precision, overflow'
        )
    return lowest


def _join(parts: list[Nearest]) -> Nearest:
    return Nearest(*(torch.cat([getattr(part, name) for part in parts]) for name in ('index', 'score', 'lowest')))


def _step(num_columns: int, element_size: int, memory: int) -> int:
    return min(MAX_ROWS, max(1, memory // (num_columns * element_size)))


def _compiles(device: torch.device, work: int) -> bool:
    return device.type == 'cpu' and (work >= WORTHWHILE or is_loaded()) and available()
