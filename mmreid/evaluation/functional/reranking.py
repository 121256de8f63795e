# Copyright (c) mmreid contributors. All rights reserved.
"""k-reciprocal re-ranking (Zhong et al., CVPR 2017) in bounded memory.

An image is encoded by the weights of its k-reciprocal neighbors, a sparse row, so memory grows with the number of
images. The distances are computed block by block, twice: to find neighbors, and to blend the final scores.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from . import counting_numba
from .nearest import MEMORY, Nearest, nearest_of_all
from .pair_scores import PairScores
from .reciprocal import reciprocal_sets
from .score_blocks import ScoreBlocks
from .sparse_rows import SparseRows, mean_of_rows
from .sparse_rows_numba import sum_overlaps

LOOK_UPS = 2**16  # entries that are looked up together
PICK_ROWS = 512  # images whose missing scores are computed in one call


@dataclass(frozen=True)
class Variant:
    """What published implementations do differently.

    Attributes:
        power (int): Power the distance is raised to.
        normalized (bool): Whether it is then divided by the largest distance of each image.
        itself (int): How many more neighbors than ``k1`` a list has, to make up for the image itself.
    """

    power: int
    normalized: bool
    itself: int


VARIANTS = {
    'squared': Variant(power=2, normalized=True, itself=1),
    'plain': Variant(power=1, normalized=True, itself=1),
    'jaccard': Variant(power=1, normalized=False, itself=0),
}


class RerankedScores(ScoreBlocks):
    """Negative re-ranked distances of queries and gallery, block by block.

    Args:
        original (Callable[[slice], torch.Tensor]): Returns the original distances of a slice of queries to the gallery.
        encodings (SparseRows): Encodings of all images, queries first.
        num_query (int): How many images are queries.
        lambda_value (float): Weight of the original distance.
        dtype (torch.dtype): Type of the scores.
        max_rows (int): Most queries in a block.
        device (torch.device): Where the scores are. Defaults to the CPU.
    """

    probability = 'one_plus'  # distances are in [0, 1] if the original ones are

    def __init__(
        self,
        original: Callable[[slice], torch.Tensor],
        encodings: SparseRows,
        num_query: int,
        lambda_value: float,
        dtype: torch.dtype,
        max_rows: int = ScoreBlocks.max_rows,
        device: torch.device | str = 'cpu',
    ) -> None:
        self.max_rows = max_rows
        self.original, self.lambda_value, self.dtype = original, lambda_value, dtype
        self.on_host = torch.device(device).type == 'cpu'
        # Original scores, distances and overlaps, which a device sums in float64 in any order.
        self.element_size = 3 * dtype.itemsize + (0 if self.on_host else 8)
        self.queries, gallery = encodings.split(num_query)
        self.num_gallery = len(gallery)
        self.by_column = gallery.transposed(len(encodings))
        self.on_device = [torch.from_numpy(part).to(device) for part in (self.by_column.column, self.by_column.value)]

    def rows(self, block: slice) -> torch.Tensor:
        """Returns scores of a block of queries, (B, G)."""
        distances = self.original(block).mul_(self.lambda_value)
        overlap = self._overlap(block) if self.on_host else self._overlap_on_device(block)
        # 1 - overlap / (2 - overlap), which rounding may bring below 0
        jaccard = overlap.sub_(2).reciprocal_().mul_(2).add_(2).clamp_min_(0)
        return distances.add_(jaccard, alpha=1 - self.lambda_value).neg_()

    def _overlap(self, block: slice) -> torch.Tensor:
        """Sums the lower of the two weights over images in both encodings, (B, G); the higher sum to 2 minus it."""
        overlap = torch.empty(block.stop - block.start, self.num_gallery, dtype=self.dtype)
        if counting_numba.is_loaded():  # as it is after a search for neighbors that is worth it
            start, other = self.queries.start[block.start : block.stop + 1], self.by_column
            entries = start, self.queries.column, self.queries.value
            counting_numba.run(sum_overlaps, overlap, *entries, other.start, other.column, other.value)
            return overlap
        for i, query in enumerate(range(block.start, block.stop)):
            column, weight = self.queries.row(query)
            places, counts = self.by_column.places(column)
            lower = np.minimum(np.repeat(weight, counts), self.by_column.value[places])
            overlap[i] = torch.from_numpy(np.bincount(self.by_column.column[places], lower, self.num_gallery))
        return overlap

    def _overlap_on_device(self, block: slice) -> torch.Tensor:
        """Does the same for all queries at once; only what the sparse rows of the queries hold is moved."""
        start, column, value = self.queries.start[block.start : block.stop + 1], *self.on_device
        entries = slice(start[0], start[-1])
        first, counts = self.by_column.start[self.queries.column[entries]], self.by_column.start
        counts = counts[self.queries.column[entries] + 1] - first
        parts = (
            first - (np.cumsum(counts) - counts),
            counts,
            np.repeat(np.arange(len(start) - 1) * self.num_gallery, np.diff(start)),
            self.queries.value[entries],
        )
        first, counts, row, weight = (torch.from_numpy(part).to(value.device, non_blocking=True) for part in parts)
        total = int(parts[1].sum())
        entry = torch.arange(len(counts), device=value.device).repeat_interleave(counts, output_size=total)
        places = first[entry] + torch.arange(total, device=value.device)
        overlap = torch.zeros((len(start) - 1) * self.num_gallery, dtype=torch.float64, device=value.device)
        overlap.index_add_(0, row[entry] + column[places], torch.minimum(weight[entry], value[places]).double())
        return overlap.view(-1, self.num_gallery).to(self.dtype)


@torch.no_grad()
def rerank(
    pairs: PairScores,
    num_query: int,
    k1: int = 20,
    k2: int = 6,
    lambda_value: float = 0.3,
    variant: str = 'squared',
    to_distance: Callable[[torch.Tensor], torch.Tensor] = torch.neg,
    weight_scale: float = 1.0,
    memory: int = MEMORY,
    scores: ScoreBlocks | None = None,
) -> RerankedScores:
    """Re-ranks the gallery for each query by k-reciprocal neighbors (Zhong et al., CVPR 2017).

    Three published variants:

    - ``'squared'`` (torchreid, fast-reid): distances are squared and divided by the largest one of each image.
    - ``'plain'`` (QAConv; with squared Euclidean distances also the authors' code): distances are divided only.
    - ``'jaccard'`` (OpenUnReID, fast-reid's evaluator): squared Euclidean distances, not divided; lists have ``k1``
      images including the image itself, not ``k1 + 1``.

    With fewer images than ``k1``, lists have all of them.

    Args:
        pairs (PairScores): Scores of any two images, the queries first; they order the neighbors.
        num_query (int): How many images are queries; the others are the gallery.
        k1 (int): Length of the neighbor lists. Defaults to 20.
        k2 (int): Over how many neighbors an encoding is averaged; 1 for no average. Defaults to 6.
        lambda_value (float): Weight of the original distance, in [0, 1]. Defaults to 0.3.
        variant (str): See above. Defaults to ``'squared'``.
        to_distance (Callable[[torch.Tensor], torch.Tensor]): Turns scores into a new tensor of distances. Defaults to
            negation.
        weight_scale (float): For ``'jaccard'``: factor from a distance to the squared Euclidean one, 2 for
            ``1 - cosine``. Defaults to 1.
        memory (int): Most bytes of scores at a time. Defaults to 128 MiB.
        scores (ScoreBlocks, optional): Cached scores of the queries and the gallery. Defaults to None: ``pairs``
            computes them.

    Returns:
        RerankedScores: Scores of shape (Q, G), higher is more similar.

    Raises:
        ValueError: If an argument is out of range, a score is NaN, or distances cannot be squared or normalized because
            they are negative.
    """
    check_settings(k1, k2, lambda_value, variant)
    if not 0 < num_query < pairs.num_images:
        raise ValueError(
            f'cannot re-rank {num_query} queries among {pairs.num_images} images; query and gallery both need some'
        )
    encodings, distances = encode(pairs, k1, k2, variant, to_distance, weight_scale, memory)

    def original(block: slice) -> torch.Tensor:
        rows = torch.arange(block.start, block.stop)[:, None]
        own = pairs.tile(block, slice(num_query, pairs.num_images)) if scores is None else scores.rows(block)
        return distances(own, rows)

    return RerankedScores(original, encodings, num_query, lambda_value, pairs.dtype, pairs.max_rows, pairs.device)


def encode(
    pairs: PairScores,
    k1: int,
    k2: int,
    variant: str,
    to_distance: Callable[[torch.Tensor], torch.Tensor],
    weight_scale: float = 1.0,
    memory: int = MEMORY,
) -> tuple[SparseRows, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]]:
    """Encodes each image by the weights of its k-reciprocal neighbors, for the arguments of :func:`rerank`.

    Returns:
        tuple[SparseRows, Callable]: A row for each image, whose weights sum to 1; and what turns scores into original
        distances.
    """
    rule = VARIANTS[variant]
    length, half = k1 + rule.itself, round(k1 / 2) + 1
    weight_scale = 1.0 if rule.normalized else weight_scale
    near = nearest_of_all(pairs, max(length, half, k2), memory)
    largest = _largest(to_distance(near.lowest), to_distance(near.score[:, 0]), rule) if rule.normalized else None

    def distances(values: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Turns scores into original distances; ``rows``, the images they belong to, broadcasts to their shape."""
        values = to_distance(values)
        if largest is not None:
            values.div_(largest[rows].to(values, non_blocking=True))
        return values.square_() if rule.power == 2 else values

    lists = near.index.numpy()
    sets = reciprocal_sets(near.index.to(pairs.device, non_blocking=True), length, half)
    counts, members = (part.cpu().numpy() for part in sets)
    row = np.repeat(np.arange(len(lists)), counts)
    values = torch.from_numpy(_scores_of(pairs, near, row, members))
    values = distances(values, torch.from_numpy(row)).double().numpy()
    encodings = SparseRows.of(counts, members, _weights(values * weight_scale, row, len(lists)))
    if k2 > 1:
        encodings = mean_of_rows(encodings, lists[:, :k2])
    return encodings, distances


def _scores_of(pairs: PairScores, near: Nearest, row: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Looks up scores in the lists of neighbors; computes the few that are missing."""
    scores = np.empty(len(row), near.score.numpy().dtype)
    found = np.empty(len(row), bool)
    for start in range(0, len(row), LOOK_UPS):
        part = slice(start, start + LOOK_UPS)
        listed = near.index.numpy()[row[part]] == members[part, None]
        found[part], scores[part] = listed.any(1), near.score.numpy()[row[part], listed.argmax(1)]
    missing = np.flatnonzero(~found)
    rows = np.unique(row[missing])
    places, picked = [], []
    for start in range(0, len(rows), PICK_ROWS):
        part = rows[start : start + PICK_ROWS]
        some = missing[(row[missing] >= part[0]) & (row[missing] <= part[-1])]
        columns, place = np.unique(members[some], return_inverse=True)
        pair = np.searchsorted(part, row[some]), place
        of_all = pairs.pick(torch.from_numpy(part), torch.from_numpy(columns))
        picked.append(of_all[tuple(torch.from_numpy(index).to(of_all.device, non_blocking=True) for index in pair)])
        places.append(some)
    if places:
        scores[np.concatenate(places)] = torch.cat(picked).cpu().numpy()
    return scores


def _weights(distances: np.ndarray, row: np.ndarray, num_rows: int) -> np.ndarray:
    """Weights the neighbors of images by exp(-distance); the weights of an image sum to 1."""
    nearest = np.full(num_rows, np.inf)
    np.minimum.at(nearest, row, distances)
    weights = np.exp(nearest[row] - distances)  # the common factor cancels out and avoids overflow
    return weights / np.bincount(row, weights, num_rows)[row]


def _largest(largest: torch.Tensor, smallest: torch.Tensor, rule: Variant) -> torch.Tensor:
    """Returns the largest distance of each image, or 1 where all are 0; raises ValueError for negative distances."""
    bad = (largest < 0) | ((smallest < -1e-3 * largest) if rule.power == 2 else (largest == 0) & (smallest < 0))
    if bad.any():
        image = int(bad.nonzero()[0])
        raise ValueError(
            f'distances of image {image} (counted from the first query on) are {float(smallest[image]):.4g}..'
            f'{float(largest[image]):.4g}; negative ones cannot be '
            f'{"squared" if rule.power == 2 else "divided by the largest"}; choose how scores become distances so that '
            "all are at least 0, or variant='jaccard'"
        )
    return largest.where(largest > 0, 1)


def check_settings(k1: int, k2: int, lambda_value: float, variant: str) -> None:
    """Raises ValueError if a setting of :func:`rerank` is out of range."""
    if k1 < 1 or k2 < 1:
        raise ValueError(f'k1={k1} and k2={k2} of re-ranking must be at least 1')
    if not 0 <= lambda_value <= 1:
        raise ValueError(f'lambda_value={lambda_value} of re-ranking must be in [0, 1]')
    if variant not in VARIANTS:
        raise ValueError(f'variant={variant!r} of re-ranking is unknown; use one of {", ".join(map(repr, VARIANTS))}')
