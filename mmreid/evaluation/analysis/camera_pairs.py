# Copyright (c) mmreid contributors. All rights reserved.
"""How well the people of one camera are found in another."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mmreid.evaluation.functional import RankingResult


@dataclass(frozen=True)
class CameraPairs:
    """Values of each pair of a query camera (rows) and a gallery camera (columns); NaN where no query has a match.

    Attributes:
        query (list[int]): Cameras of the queries, Q.
        gallery (list[int]): Cameras of the gallery, G.
        mean_ap (np.ndarray): mAP in [0, 1], shape (Q, G).
        rank1 (np.ndarray): Rank-1 in [0, 1], likewise.
        num_queries (np.ndarray): Queries that could be scored, shape (Q, G), int64.
    """

    query: list[int]
    gallery: list[int]
    mean_ap: np.ndarray
    rank1: np.ndarray
    num_queries: np.ndarray


def camera_pairs(
    q_camids: torch.Tensor, gallery_cameras: Sequence[int], of_gallery: Sequence[RankingResult]
) -> CameraPairs:
    """Averages the results of galleries of one camera each over the queries of one camera each.

    Args:
        q_camids (torch.Tensor): Cameras of the queries, shape (N,).
        gallery_cameras (Sequence[int]): Camera of each gallery, G.
        of_gallery (Sequence[RankingResult]): The result of each gallery.

    Returns:
        CameraPairs: The matrices.
    """
    cameras = q_camids.unique().tolist()
    shape = len(cameras), len(gallery_cameras)
    mean_ap, rank1, count = np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape, dtype=np.int64)
    for column, result in enumerate(of_gallery):
        for row, camera in enumerate(cameras):
            chosen = result.valid & (q_camids == camera)
            count[row, column] = int(chosen.sum())
            if chosen.any():
                mean_ap[row, column] = float(result.ap[chosen].mean())
                rank1[row, column] = float((result.first_match[chosen] == 1).double().mean())
    return CameraPairs(cameras, list(gallery_cameras), mean_ap, rank1, count)
