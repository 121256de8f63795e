# Copyright (c) mmreid contributors. All rights reserved.
"""TLift as a step of ``post=[...]``."""

from collections.abc import Callable

import torch

from mmreid.evaluation.functional.score_blocks import FeatureScores, ScoreBlocks
from mmreid.evaluation.functional.tlift import TLiftScores, check_settings
from mmreid.evaluation.retrieval_set import RetrievalSet
from mmreid.models.matchers.base import Matcher, as_matcher
from mmreid.registry import TASK_UTILS

from .base import PostProcess

PROBABILITIES = {
    'cosine': lambda scores: scores.add_(1).div_(2).clamp_(0, 1),
    'logistic': lambda scores: scores.div_(10).sigmoid_(),
    'one_plus': lambda scores: scores.add_(1),
    'identity': lambda scores: scores,
}
"""How scores are brought into [0, 1], in place. ``'logistic'``, sigmoid(score / 10), is for unbounded scores (QAConv);
``'one_plus'`` is for negative distances in [-1, 0], such as those of re-ranking."""


@TASK_UTILS.register_module()
class TLift(PostProcess):
    """Raises scores of images taken when the person is expected there, see :func:`tlift` of ``functional``.

    All images need a timestamp.

    Args:
        tau (float): Seconds to a query nearby. Defaults to 100.
        sigma (float): Seconds over which the weight of a pivot falls off. Defaults to 200.
        k (int): How many pivots. Defaults to 10.
        alpha (float): Weight of the score far from all pivots. Defaults to 0.2.
        probability (str, optional): How scores are brought into [0, 1]: ``'cosine'`` for (score + 1) / 2,
            ``'logistic'``, ``'one_plus'`` or ``'identity'``. Defaults to the ``probability`` of the matcher or of the
            earlier step's scores; without one, a choice is needed.
    """

    label = 'tlift'
    needs = ('timestamp',)
    makes_scores = True

    def __init__(
        self,
        tau: float = 100.0,
        sigma: float = 200.0,
        k: int = 10,
        alpha: float = 0.2,
        probability: str | None = None,
    ) -> None:
        check_settings(tau, sigma, k, alpha)
        if probability is not None and probability not in PROBABILITIES:
            raise ValueError(
                f'probability={probability!r} of TLift is unknown; use one of {", ".join(map(repr, PROBABILITIES))}'
            )
        self.settings = dict(tau=tau, sigma=sigma, k=k, alpha=alpha)
        self.probability = probability

    def __call__(
        self,
        query: RetrievalSet,
        gallery: RetrievalSet,
        matcher: Matcher | Callable,
        device: torch.device | str | None = None,
        scores: ScoreBlocks | None = None,
    ) -> TLiftScores:
        """Returns the lifted scores."""
        for images, role in ((query, 'query'), (gallery, 'gallery')):
            if images.timestamp is None:
                raise ValueError(
                    f'TLift needs the time of every image, but not all {role} images have a timestamp; use a data set '
                    'that knows times, give a column timestamp (seconds) in your own list, or take TLift out of post'
                )
        matcher = as_matcher(matcher)
        name = self._probability_name(matcher if scores is None or scores.of_matcher else scores)
        if scores is None:
            scores = FeatureScores(query.feature, gallery.feature, matcher, device=device)
        return TLiftScores(
            _MappedScores(scores, PROBABILITIES[name]),
            query.camid,
            query.timestamp,
            gallery.camid,
            gallery.timestamp,
            sharded=True,
            **self.settings,
        )

    def _probability_name(self, source: Matcher | ScoreBlocks) -> str:
        name = self.probability or source.probability
        if name not in PROBABILITIES:
            raise ValueError(
                f'TLift cannot tell how scores of {source.name} are brought into [0, 1]; set probability to one of '
                f'{", ".join(map(repr, PROBABILITIES))}'
            )
        return name


class _MappedScores(ScoreBlocks):
    """Scores mapped by a function, in place."""

    def __init__(self, scores: ScoreBlocks, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        self.scores, self.function = scores, function
        self.element_size, self.shape, self.max_rows = scores.element_size, scores.shape, scores.max_rows

    def rows(self, block: slice) -> torch.Tensor:
        return self.function(self.scores.rows(block))
