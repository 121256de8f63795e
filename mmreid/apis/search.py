# Copyright (c) mmreid contributors. All rights reserved.
"""Exact search: the best gallery images of each query by the scores of the model's own matcher, block by block."""

import math
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mmreid.evaluation.functional.top_lists import top_lists
from mmreid.evaluation.postprocessing import KReciprocalRerank, post_process
from mmreid.evaluation.retrieval_set import RetrievalSet
from mmreid.utils.progress import track


@dataclass(frozen=True)
class SearchResult:
    """The best gallery images of each query, best first; equal scores in the order of the gallery.

    Attributes:
        indices (np.ndarray): Positions in the gallery, shape (Q, K), int64; -1 where a query has fewer.
        scores (np.ndarray): Scores, shape (Q, K), float32; higher is more similar. NaN where a query has fewer.
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
        return [[self.gallery_names[index] for index in row if index >= 0] for row in self.indices.tolist()]


@torch.no_grad()
def search_features(
    query: torch.Tensor,
    gallery: torch.Tensor,
    matcher: Callable,
    topk: int,
    device: torch.device,
    names: tuple[Sequence[str], Sequence[str]],
    rerank: bool = False,
    skip_own_file: bool = False,
) -> SearchResult:
    """Finds the best gallery images (G, ...) of each query (Q, ...); all of a gallery that is smaller than ``topk``."""
    if type(topk) is not int or topk < 1:
        raise ValueError(f'topk={topk!r} must be a whole number of at least 1')
    if query.shape[1:] != gallery.shape[1:]:
        raise ValueError(
            f'features of the queries have the shape {tuple(query.shape[1:])}, those of the gallery '
            f'{tuple(gallery.shape[1:])}; extract both with the same model'
        )
    sides = [
        RetrievalSet(None, torch.zeros(len(feats), dtype=torch.int64), feats, img_path=list(paths))
        for feats, paths in zip((query, gallery), names, strict=True)
    ]
    scores = post_process([KReciprocalRerank()] if rerank else [], *sides, matcher, device)
    count, step = min(topk, len(gallery)), scores.max_rows
    blocks = [slice(start, min(start + step, len(query))) for start in range(0, len(query), step)]
    own = _own_files(*names) if skip_own_file else None
    parts = []
    for block in track(blocks, 'searching'):
        rows = scores.rows(block)
        if own is not None:
            row, column = own
            inside = (row >= block.start) & (row < block.stop)
            rows[row[inside] - block.start, column[inside]] = math.nan
        parts.append(top_lists(rows, count))
    indices, values = (torch.cat(each).cpu().numpy() for each in zip(*parts, strict=True))
    return SearchResult(indices, values.astype(np.float32), list(names[0]), list(names[1]))


def _own_files(query: Sequence[str], gallery: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Lists the pairs of a query and a gallery image that are the same file: indices of both, (N,) each."""
    places = defaultdict(list)
    for place, path in enumerate(gallery):
        places[os.path.realpath(path)].append(place)
    files = [(row, path) for row, path in enumerate(query) if os.path.isfile(path)]  # others are names of arrays
    pairs = [(row, column) for row, path in files for column in places.get(os.path.realpath(path), ())]
    row, column = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2).unbind(1)
    return row, column
