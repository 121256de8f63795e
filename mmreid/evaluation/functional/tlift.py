# Copyright (c) mmreid contributors. All rights reserved.
"""Temporal lifting, TLift (Liao and Shao, ECCV 2020), block by block in bounded memory.

People who pass one camera together tend to appear together in another. So the best matches of a query, and of the
queries next to it in time, show when to look: gallery images near them in time get a higher score.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.dist import all_gather_object, get_dist_info

from mmreid.utils.progress import track

from .score_blocks import MatrixScores, ScoreBlocks

ROWS = 128  # queries in a block
MEMORY = 2**28
SLACK = 1e-4  # by which rounding may move a score out of [0, 1]


@torch.no_grad()
def tlift(
    scores: torch.Tensor,
    q_camids: torch.Tensor,
    q_times: torch.Tensor,
    g_camids: torch.Tensor,
    g_times: torch.Tensor,
    tau: float = 100.0,
    sigma: float = 200.0,
    k: int = 10,
    alpha: float = 0.2,
) -> torch.Tensor:
    """Lifts scores by the times of the images (Liao and Shao, ECCV 2020).

    For each query and each gallery camera, the scores of the camera's images for the query and for the queries near it
    (same camera, less than ``tau`` seconds apart) are pooled. Entries not below the ``k``-th best of them are *pivots*;
    an image may be a pivot several times. A gallery image of this camera at time t gets the weight
    w = mean over pivots of exp(-((t - t of the pivot) / sigma)**2), and the score (w + alpha) * score.

    Queries exactly ``tau`` apart are not near each other. Times are float64; only their difference is rounded. Times
    near 1.7e9 (seconds since 1970) have a resolution of 2.4e-7 s, so queries meant to be exactly ``tau`` apart (thirds
    or tenths of a second) may count as near; seconds since the start of the recording are finer.

    A camera without gallery images changes nothing. If a camera has fewer than ``k`` entries, all are pivots. Camera
    ids may be any integers.

    Args:
        scores (torch.Tensor): Similarity in [0, 1], shape (Q, G); it is not changed.
        q_camids (torch.Tensor): Cameras of the queries, shape (Q,).
        q_times (torch.Tensor): Their times in seconds, shape (Q,); float64 where they are large.
        g_camids (torch.Tensor): Cameras of the gallery, shape (G,).
        g_times (torch.Tensor): Their times in seconds, shape (G,); float64 where they are large.
        tau (float): Seconds to a query nearby. Defaults to 100.
        sigma (float): Seconds over which the weight of a pivot falls off. Defaults to 200.
        k (int): How many pivots, more if scores are equal. Defaults to 10.
        alpha (float): Weight of the score far from all pivots. Defaults to 0.2.

    Returns:
        torch.Tensor: Shape (Q, G), higher is more similar, in [0, 1 + alpha].

    Raises:
        ValueError: If a setting is out of range, a score is not in [0, 1], a time is not finite or shapes do not fit.
    """
    blocks = TLiftScores(MatrixScores(scores), q_camids, q_times, g_camids, g_times, tau, sigma, k, alpha)
    lifted = scores.new_empty(scores.shape, dtype=blocks.scores.dtype)
    for block in _blocks(len(scores)):
        lifted[block] = blocks.rows(block)
    return lifted


class TLiftScores(ScoreBlocks):
    """Lifted scores, block by block. All scores are computed twice: to find pivots, and to be lifted.

    Args:
        scores (ScoreBlocks): Similarity in [0, 1] of shape (Q, G).
        q_camids (torch.Tensor): See :func:`tlift`, as for the following.
        q_times (torch.Tensor): ...
        g_camids (torch.Tensor): ...
        g_times (torch.Tensor): ...
        tau (float): ...
        sigma (float): ...
        k (int): ...
        alpha (float): ...
        sharded (bool): Whether the process ranks share the search for pivots; all must call it then. Defaults to False.
        memory (int): Most bytes of weights between gallery images to keep; if they do not fit, they are computed again
            for each block. Defaults to 256 MiB.
    """

    def __init__(
        self,
        scores: ScoreBlocks,
        q_camids: torch.Tensor,
        q_times: torch.Tensor,
        g_camids: torch.Tensor,
        g_times: torch.Tensor,
        tau: float = 100.0,
        sigma: float = 200.0,
        k: int = 10,
        alpha: float = 0.2,
        sharded: bool = False,
        memory: int = MEMORY,
    ) -> None:
        check_settings(tau, sigma, k, alpha)
        q_camids, g_camids = torch.as_tensor(q_camids).cpu(), torch.as_tensor(g_camids).cpu()
        q_times, g_times = (torch.as_tensor(times).cpu().double() for times in (q_times, g_times))
        shape = len(q_camids), len(g_camids)
        if (len(q_times), len(g_times)) != shape or scores.shape not in (None, shape):
            raise ValueError(
                f'scores have shape {scores.shape}, but there are cameras of {shape[0]} queries and {shape[1]} gallery '
                f'images, and times of {len(q_times)} and {len(g_times)}'
            )
        for times, name in ((q_times, 'query'), (g_times, 'gallery')):
            if not times.isfinite().all():
                image = int((~times.isfinite()).nonzero()[0])
                raise ValueError(f'the time of {name} image {image} is {float(times[image])}; TLift needs seconds')
        self.scores, self.sigma, self.alpha, self.shape, self.memory = scores, sigma, alpha, shape, memory
        self.max_rows = scores.max_rows
        self.element_size = 3 * scores.element_size  # scores, and their weights in two orders
        # The gallery sorted by camera, so that each camera is a slice.
        self.order = g_camids.argsort(stable=True)
        self.back = self.order.argsort()
        ends = g_camids[self.order].unique_consecutive(return_counts=True)[1].cumsum(0).tolist()
        self.cameras = [slice(start, end) for start, end in pairwise([0, *ends])]
        self.times = g_times[self.order]
        self.keep = 4 * sum((part.stop - part.start) ** 2 for part in self.cameras) <= memory
        self.kernels: dict[int, torch.Tensor] = {}
        windows = _windows(q_camids.numpy(), q_times.numpy(), tau)
        with torch.no_grad():
            lists = self._best_of_blocks(k, sharded)
        self.pivots = [_pivots(*of_camera, *windows, k) for of_camera in lists]

    @torch.no_grad()
    def rows(self, block: slice) -> torch.Tensor:
        """Returns lifted scores of a block of queries, (B, G)."""
        scores = self.scores.rows(block)
        weights = torch.empty_like(scores)
        for number, (part, (starts, images)) in enumerate(zip(self.cameras, self.pivots, strict=True)):
            first, last = int(starts[block.start]), int(starts[block.stop])
            bags = starts[block.start : block.stop] - first
            self._weigh(number, images[first:last], bags, weights[:, part])
        weights.add_(self.alpha)
        return scores.mul_(weights.index_select(1, self.back.to(weights.device, non_blocking=True)))

    def _weigh(self, camera: int, images: torch.Tensor, bags: torch.Tensor, weights: torch.Tensor) -> None:
        """Writes mean weights, (B, images of the camera); the pivots (``images``) of a query start at its ``bags``."""
        times = self.times[self.cameras[camera]]
        bags = bags.to(weights.device, non_blocking=True)
        if self.keep:
            if camera not in self.kernels:
                self.kernels[camera] = self._kernel(times, times, weights)
            weights.copy_(
                F.embedding_bag(images.to(weights.device, non_blocking=True), self.kernels[camera], bags, mode='mean')
            )
            return
        used, images = images.unique(return_inverse=True)
        step = max(1, self.memory // (4 * len(used)))
        for start in range(0, len(times), step):
            part = slice(start, start + step)
            kernel = self._kernel(times[used], times[part], weights)
            weights[:, part] = F.embedding_bag(images.to(weights.device, non_blocking=True), kernel, bags, mode='mean')

    def _kernel(self, pivots: torch.Tensor, times: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """Returns exp(-((a - b) / sigma)**2) of all pairs of times, shape (len(pivots), len(times))."""
        kernel = like.new_empty(len(pivots), len(times))
        pivots, times = (values.to(like.device, non_blocking=True) for values in (pivots, times))
        for part, rows in zip(pivots.split(32), kernel.split(32), strict=True):  # stays in the cache
            # Seconds since 1970 have too many digits for float32, but their differences do not. Beyond the clamp the
            # weight is practically 0, and denormal numbers are slow.
            rows.copy_((part[:, None] - times).div_(self.sigma).clamp_(-9, 9))
            rows.square_().neg_().exp_()
        return kernel

    def _best_of_blocks(self, k: int, sharded: bool) -> list[tuple[np.ndarray, ...]]:
        """Finds, for each camera, the entries not below the ``k``-th best of each query.

        Returns queries, ascending, images, as positions in the camera, and scores of each camera.
        """
        rank, num_ranks = get_dist_info() if sharded else (0, 1)
        try:
            own = list(_blocks(self.shape[0], min(ROWS, self.max_rows)))[rank::num_ranks]
            found = [self._best_of_rows(block, k) for block in track(own, 'finding pivots')]
            mine = [torch.cat(column).cpu().numpy() for column in zip(*found, strict=True)]
        except Exception as error:
            if num_ranks == 1:
                raise
            mine = error
        parts = [mine] if num_ranks == 1 else all_gather_object(mine)
        failed = next((part for part in parts if isinstance(part, Exception)), None)
        if failed is not None:
            raise failed
        query, image, score = (np.concatenate(column) for column in zip(*filter(None, parts), strict=True))
        order = np.argsort(query, kind='stable')
        query, image, score = query[order], image[order], score[order]
        of_cameras = []
        for part in self.cameras:
            inside = (image >= part.start) & (image < part.stop)
            of_cameras.append((query[inside], image[inside] - part.start, score[inside]))
        return of_cameras

    def _best_of_rows(self, block: slice, k: int) -> tuple[torch.Tensor, ...]:
        """Returns queries, images, as positions in the sorted gallery, and scores of a block."""
        rows = self.scores.rows(block)
        lowest, highest = torch.stack(rows.aminmax()).tolist()
        if not (lowest >= -SLACK and highest <= 1 + SLACK):
            raise ValueError(
                f'TLift needs scores in [0, 1], but those of queries {block.start}..{block.stop - 1} are in '
                f'[{lowest:.4g}, {highest:.4g}]; say how scores become probabilities'
            )
        rows = rows.index_select(1, self.order.to(rows.device, non_blocking=True))
        best = torch.empty_like(rows, dtype=torch.bool)
        for part in self.cameras:
            of_camera = rows[:, part]
            worst = of_camera.topk(min(k, of_camera.shape[1]), sorted=False).values.amin(1, keepdim=True)
            best[:, part] = of_camera >= worst
        query, image = best.nonzero(as_tuple=True)
        return query + block.start, image, rows[query, image]


def check_settings(tau: float, sigma: float, k: int, alpha: float) -> None:
    """Raises ValueError if a setting of :func:`tlift` is out of range."""
    if not (tau >= 0 and sigma > 0 and alpha >= 0):
        raise ValueError(f'tau={tau}, sigma={sigma}, alpha={alpha} of TLift: sigma must be above 0, the others >= 0')
    if k < 1:
        raise ValueError(f'k={k} of TLift must be at least 1')


def _blocks(num_query: int, step: int = ROWS) -> Iterator[slice]:
    return (slice(start, min(start + step, num_query)) for start in range(0, num_query, step))


def _windows(camids: np.ndarray, times: np.ndarray, tau: float) -> tuple[np.ndarray, ...]:
    """Finds the queries near each query.

    Returns the order by camera and time; and, for each position in it, the first position near it and the one after
    the last.
    """
    order = np.lexsort((times, camids))
    first, last = np.empty_like(order), np.empty_like(order)
    _, starts = np.unique(camids[order], return_index=True)
    for start, end in pairwise([*starts.tolist(), len(order)]):
        in_order = times[order[start:end]].tolist()
        for place, time in enumerate(in_order, start):  # the difference, because time - tau would be rounded
            first[place] = start + bisect_right(in_order, -tau, key=time.__rsub__)
            last[place] = start + bisect_left(in_order, tau, key=time.__rsub__)
    places = np.arange(len(order))
    return order, np.minimum(first, places), np.maximum(last, places + 1)  # a query is always near itself


def _pivots(
    query: np.ndarray, image: np.ndarray, score: np.ndarray, order: np.ndarray, first: np.ndarray, last: np.ndarray, k
) -> tuple[torch.Tensor, torch.Tensor]:
    """Finds the pivots of each query in one camera.

    An entry not below the ``k``-th best of several queries is not below that of its own query, so the lists suffice.
    Returns where the pivots of each query start, (Q + 1,), and their images, as positions in the camera.
    """
    place = np.argsort(order)[query]
    sort = np.argsort(place, kind='stable')
    image, score = image[sort], score[sort]
    starts = np.searchsorted(place[sort], np.arange(len(order) + 1))
    pivots: list[np.ndarray] = [image[:0]] * len(order)
    for at, number in enumerate(order.tolist()):
        part = slice(starts[first[at]], starts[last[at]])
        scores = score[part]
        if len(scores) <= k:
            pivots[number] = image[part]
        else:
            pivots[number] = image[part][scores >= np.partition(scores, len(scores) - k)[len(scores) - k]]
    ends = np.cumsum([0, *map(len, pivots)])
    return torch.from_numpy(ends), torch.from_numpy(np.concatenate(pivots))
