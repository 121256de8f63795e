# Copyright (c) mmreid contributors. All rights reserved.
"""Query expansion as a step of ``post=[...]``."""

from collections.abc import Callable
from dataclasses import replace

import torch

from mmreid.evaluation.functional.query_expansion import check_settings, expand_queries
from mmreid.evaluation.functional.score_blocks import ScoreBlocks
from mmreid.evaluation.retrieval_set import RetrievalSet
from mmreid.models.matchers.base import Matcher
from mmreid.registry import TASK_UTILS

from .base import PostProcess


@TASK_UTILS.register_module()
class QueryExpansion(PostProcess):
    """Replaces each feature by a mean of its neighbors, see :func:`expand_queries` of ``functional.query_expansion``.

    Neighbors are found by cosine similarity, whatever the matcher; features must be vectors.

    Args:
        k (int): How many neighbors, with the image itself. Defaults to 10.
        alpha (float): Exponent of the similarity that weights a neighbor; 0 gives AQE. Defaults to 3.
        times (int): How often to repeat this. Defaults to 1.
        sides (str): Whether ``'both'`` query and gallery are expanded, or only ``'query'``. Defaults to ``'both'``.
    """

    label = 'qe'
    of_features = True

    def __init__(self, k: int = 10, alpha: float = 3.0, times: int = 1, sides: str = 'both') -> None:
        check_settings(k, alpha, times, sides)
        self.settings = dict(k=k, alpha=alpha, times=times, sides=sides)

    def check(self, feats: torch.Tensor, matcher: Matcher) -> None:
        """Raises ValueError unless features are vectors."""
        if feats.ndim != 2:
            raise ValueError(
                f'QueryExpansion needs one vector per image, but {matcher.name} compares features of shape '
                f'{tuple(feats.shape[1:])}; take it out of post'
            )

    def __call__(
        self,
        query: RetrievalSet,
        gallery: RetrievalSet,
        matcher: Matcher | Callable,
        device: torch.device | str | None = None,
        scores: ScoreBlocks | None = None,
    ) -> tuple[RetrievalSet, RetrievalSet]:
        """Returns query and gallery with expanded features."""
        q_feats, g_feats = expand_queries(query.feature, gallery.feature, device=device, **self.settings)
        return replace(query, feature=q_feats), replace(gallery, feature=g_feats)
