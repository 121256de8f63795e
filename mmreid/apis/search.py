# Copyright (c) mmreid contributors. All rights reserved.
"""Exact search: the best gallery images of each query by the scores of the model's own matcher, block by block."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mmreid.evaluation.functional.score_blocks import FeatureScores
from mmreid.evaluation.functional.top_lists import top_lists


@dataclass(frozen=True)
class SearchResult:
    """The best gallery images of each query, best first; equal scores in the order of the gallery.

    Attributes:
        indices (np.ndarray): Places in the gallery, shape (Q, K), int64.
        scores (np.ndarray): Scores, shape (Q, K), float32; higher is more similar.
        query_names (list[str]): Names of the queries.
        gallery_names (list[str]): Names of all gallery images.
    """

    indices: np.ndarray
    scores: np.ndarray
    query_names: list[str]
    gallery_names: list[str]

    @property
    def names(self) -> list[list[str]]:
        """list[list[str]]: Names of the found images of each query."""
        return [[self.gallery_names[index] for index in row] for row in self.indices.tolist()]


@torch.no_grad()
def search_features(
    query: torch.Tensor,
    gallery: torch.Tensor,
    matcher: Callable,
    topk: int,
    device: torch.device,
    names: tuple[Sequence[str], Sequence[str]],
) -> SearchResult:
    """Finds the best gallery images (G, ...) of each query (Q, ...); all of a gallery that is smaller than ``topk``."""
    if type(topk) is not int or topk < 1:
        raise ValueError(f'topk={topk!r} must be a whole number of at least 1')
    if query.shape[1:] != gallery.shape[1:]:
        raise ValueError(
            f'features of the queries have the shape {tuple(query.shape[1:])}, those of the gallery '
            f'{tuple(gallery.shape[1:])}; extract both with the same model'
        )
    scores = FeatureScores(query, gallery, matcher, device=device, names=names)
    count, step = min(topk, len(gallery)), scores.max_rows
    blocks = (slice(start, min(start + step, len(query))) for start in range(0, len(query), step))
    parts = [top_lists(scores.rows(block), count) for block in blocks]
    indices, values = (torch.cat(each).numpy() for each in zip(*parts, strict=True))
    return SearchResult(indices, values.astype(np.float32), list(names[0]), list(names[1]))
