# Copyright (c) mmreid contributors. All rights reserved.
"""The nearest images of every image, exact, block by block. Compiled on the CPU, plain torch elsewhere.

Both give equal results, and score every pair once. Images with equal scores keep their order. On a GPU the host waits
once, for the lists.
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
NAMES = ('index', 'score', 'lowest')
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

    def part(self, images: slice) -> 'Nearest':
        """Returns the lists of some images, as views."""
        return Nearest(*(getattr(self, name)[images] for name in NAMES))


@torch.no_grad()
def nearest_of_all(pairs: PairScores, k: int, memory: int = MEMORY) -> Nearest:
    """Finds the nearest images of each image among all images, itself included.

    Every pair is scored once: a tile updates the lists of its rows and of its columns.

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
    result = empty_lists(num, k, pairs.dtype, pairs.device)
    compiled = _compiles(pairs.device, num * num)
    worst = torch.full((num,), -math.inf, dtype=pairs.dtype)
    for block in track(blocks, 'finding neighbors'):
        # Earlier images already saw this block as columns of their tiles, so each list sees ascending images.
        tile = pairs.tile(block, slice(block.start, num))
        rest = slice(block.stop, num)
        own, others = result.part(block), result.part(rest)
        columns = tile[:, block.stop - block.start :]
        torch.minimum(own.lowest, tile.amin(1), out=own.lowest)
        torch.minimum(others.lowest, columns.amin(0), out=others.lowest)
        if not compiled:
            push(tile, block.start, own)
            push(columns.t(), block.start, others)
            continue
        _check(own.lowest, block.start)
        run(nearest_numba.push_rows, tile, block.start, own.index, own.score)
        run(nearest_numba.push_columns, columns.t(), block.start, others.index, others.score, worst[rest])
    return _on_host(result)


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
        rows = scores.rows(slice(start, min(start + step, num_query)))
        part = empty_lists(len(rows), k, rows.dtype, rows.device)
        torch.amin(rows, 1, out=part.lowest)
        if _compiles(rows.device, num_query * num_gallery):
            _check(part.lowest, start)
            run(nearest_numba.push_rows, rows.contiguous(), 0, part.index, part.score)
        else:
            push(rows, 0, part)
        parts.append(part)
    return _on_host(Nearest(*(torch.cat([getattr(part, name) for part in parts]) for name in NAMES)))


def empty_lists(num: int, k: int, dtype: torch.dtype, device: torch.device) -> Nearest:
    """Makes lists to push images into."""
    return Nearest(
        torch.full((num, k), -1, device=device),
        torch.full((num, k), -math.inf, dtype=dtype, device=device),
        torch.full((num,), math.inf, dtype=dtype, device=device),
    )


def push(rows: torch.Tensor, first_image: int, lists: Nearest) -> None:
    """Pushes the scores (N, C) of later images, from ``first_image`` on, into N lists; NaN is left out."""
    if not rows.numel():
        return
    index, score = top_lists(rows, min(lists.index.shape[1], rows.shape[1]))
    score = score.nan_to_num(nan=-math.inf, posinf=math.inf, neginf=-math.inf)  # NaN would come first
    index, score = torch.cat([lists.index, index + first_image], 1), torch.cat([lists.score, score], 1)
    order = score.argsort(descending=True, stable=True)[:, : lists.index.shape[1]]
    lists.index.copy_(index.gather(1, order))
    lists.score.copy_(score.gather(1, order))


def _check(lowest: torch.Tensor, first_image: int = 0) -> None:
    """Raises ValueError if the lowest score of an image is NaN or -inf."""
    bad = ~lowest.isfinite()
    if bad.any():
        image = int(bad.nonzero()[0])
        raise ValueError(
            f'a score of image {first_image + image} (counted from the first query on) is {float(lowest[image])}; '
            'check the matcher and, under half precision, overflow'
        )


def _on_host(lists: Nearest) -> Nearest:
    """Moves finished lists to the CPU, and checks them."""
    lists = Nearest(*(getattr(lists, name).cpu() for name in NAMES))
    _check(lists.lowest)
    return lists


def _step(num_columns: int, element_size: int, memory: int) -> int:
    return min(MAX_ROWS, max(1, memory // (num_columns * element_size)))


def _compiles(device: torch.device, work: int) -> bool:
    return device.type == 'cpu' and (work >= WORTHWHILE or is_loaded()) and available()
