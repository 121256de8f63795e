# Copyright (c) mmreid contributors. All rights reserved.
"""k-reciprocal re-ranking as a step of ``post=[...]``."""

from collections.abc import Callable

import torch

from mmreid.evaluation.functional.pair_scores import FeaturePairs
from mmreid.evaluation.functional.reranking import RerankedScores, check_settings, rerank
from mmreid.evaluation.functional.score_blocks import ScoreBlocks
from mmreid.evaluation.retrieval_set import RetrievalSet
from mmreid.models.matchers.base import Matcher, as_matcher
from mmreid.registry import TASK_UTILS

from .base import PostProcess

DISTANCES = {
    'one_minus': lambda scores: (1 - scores).clamp_min_(0),
    'negative': torch.neg,
    'logistic': lambda scores: torch.sigmoid(scores / -10),
}
"""How scores become distances. ``'logistic'``, 1 - sigmoid(score / 10), is for unbounded scores (QAConv)."""


@TASK_UTILS.register_module()
class KReciprocalRerank(PostProcess):
    """Re-ranks by k-reciprocal neighbors (Zhong et al., CVPR 2017), see :func:`rerank` of ``functional.reranking``.

    Args:
        k1 (int): Length of the neighbor lists. Defaults to 20.
        k2 (int): Over how many neighbors an encoding is averaged. Defaults to 6.
        lambda_value (float): Weight of the original distance. Defaults to 0.3.
        variant (str): ``'squared'``, ``'plain'`` or ``'jaccard'``. Defaults to ``'squared'``.
        distance (str, optional): How scores become distances: ``'one_minus'``, ``'negative'`` or ``'logistic'``.
            Defaults to the ``distance`` of the matcher; a matcher without one needs a choice.
    """

    label = 'rerank'
    of_features = makes_scores = True

    def __init__(
        self,
        k1: int = 20,
        k2: int = 6,
        lambda_value: float = 0.3,
        variant: str = 'squared',
        distance: str | None = None,
    ) -> None:
        check_settings(k1, k2, lambda_value, variant)
        if distance is not None and distance not in DISTANCES:
            raise ValueError(
                f'distance={distance!r} of KReciprocalRerank is unknown; use one of {", ".join(map(repr, DISTANCES))}'
            )
        self.settings = dict(k1=k1, k2=k2, lambda_value=lambda_value, variant=variant)
        self.distance = distance

    def check(self, feats: torch.Tensor, matcher: Matcher) -> None:
        """Raises ValueError if the matcher does not say how its scores become distances."""
        self._distance_name(matcher)

    def __call__(
        self,
        query: RetrievalSet,
        gallery: RetrievalSet,
        matcher: Matcher | Callable,
        device: torch.device | str | None = None,
        scores: ScoreBlocks | None = None,
    ) -> RerankedScores:
        """Returns the re-ranked scores."""
        if scores is not None and not scores.of_matcher:
            raise ValueError(
                'KReciprocalRerank compares features, also among queries, but an earlier step has made scores of them; '
                'put it before that step'
            )
        matcher = as_matcher(matcher)
        return rerank(
            FeaturePairs([query.feature, gallery.feature], matcher, device),
            len(query.feature),
            to_distance=DISTANCES[self._distance_name(matcher)],
            weight_scale=matcher.distance_scale,
            scores=scores,
            **self.settings,
        )

    def _distance_name(self, matcher: Matcher) -> str:
        name = self.distance or matcher.distance
        if name not in DISTANCES:
            raise ValueError(
                f'KReciprocalRerank cannot tell how scores of {matcher.name} become distances; set distance to one of '
                f'{", ".join(map(repr, DISTANCES))}'
            )
        return name
