# Copyright (c) mmreid contributors. All rights reserved.
"""What steps between features and ranking look like, and how they are run one after the other."""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

import torch

from mmreid.evaluation.functional.score_blocks import FeatureScores, ScoreBlocks, as_score_blocks, check_finite

Side = dict[str, Any]
Scores = torch.Tensor | ScoreBlocks


class PostProcess:
    """Base of the steps of ``post=[...]``. Register them in ``TASK_UTILS``.

    A step changes features, or turns them into scores. It never sees identities: :func:`post_process` takes ``pid``
    away.

    Query and gallery are dicts of one entry per image:

    - ``feature`` (torch.Tensor): Shape (N, D), or (N, ...) as the matcher takes it.
    - ``camid`` (torch.Tensor): Cameras, shape (N,), int64.
    - ``timestamp`` (torch.Tensor): Times in seconds, shape (N,), float64, where all images have one.
    - ``img_path`` (list[str]): Names for messages, where known.

    Attributes:
        needs (tuple[str, ...]): Fields that all records of the test set must have; checked before features are
            extracted.
        of_features (bool): Whether it works on the features themselves, so that no step before it may make scores.
        makes_scores (bool): Whether it returns scores.
    """

    needs: tuple[str, ...] = ()
    of_features = False
    makes_scores = False

    def check(self, feats: torch.Tensor, matcher: Callable) -> None:
        """Refuses what the step cannot work on, before anything is matched, which may take hours.

        Args:
            feats (torch.Tensor): Features of the queries.
            matcher (Callable): The matcher.
        """

    def __call__(
        self,
        query: Side,
        gallery: Side,
        matcher: Callable,
        device: torch.device | str | None = None,
        scores: ScoreBlocks | None = None,
    ) -> tuple[Side, Side] | Scores:
        """Does the step.

        Args:
            query (dict): The query images. It must not be changed.
            gallery (dict): The gallery images, likewise.
            matcher (Callable): Turns features of both into scores of shape (Q, G), higher is more similar.
            device (torch.device | str, optional): Where to match. Defaults to the device of the gallery's features.
            scores (ScoreBlocks, optional): Scores that an earlier step made, which replace those of the matcher; or, if
                their ``of_matcher`` is true, the matcher's own, which were kept. Defaults to None.

        Returns:
            tuple[dict, dict] | torch.Tensor | ScoreBlocks: Query and gallery with new features; or scores of shape
            (Q, G), higher is more similar, in whole or block by block.
        """
        raise NotImplementedError


def check_order(steps: Sequence[Callable]) -> None:
    """Refuses steps that stand in an order that cannot work.

    Args:
        steps (Sequence[PostProcess]): The steps.

    Raises:
        ValueError: If a step that works on features comes after one that makes scores.
    """
    for earlier, step in combinations(steps, 2):
        if getattr(earlier, 'makes_scores', False) and getattr(step, 'of_features', False):
            raise ValueError(
                f'{type(step).__name__} works on features, but {type(earlier).__name__}, which stands before it in '
                'post, makes scores of them; put it first'
            )


def post_process(
    steps: Sequence[Callable],
    query: Mapping[str, Any],
    gallery: Mapping[str, Any],
    matcher: Callable,
    device: torch.device | str | None = None,
    scores: ScoreBlocks | None = None,
) -> ScoreBlocks:
    """Runs steps and gives the scores to rank.

    Args:
        steps (Sequence[PostProcess]): The steps, in this order; none gives the scores of the matcher.
        query (Mapping[str, Any]): See :class:`PostProcess`; ``pid`` may be there but no step gets it.
        gallery (Mapping[str, Any]): Likewise.
        matcher (Callable): Turns features into scores.
        device (torch.device | str, optional): Where to match. Defaults to the device of the gallery's features.
        scores (ScoreBlocks, optional): The matcher's scores of these features, where they were kept. Defaults to None.

    Returns:
        ScoreBlocks: Scores of shape (Q, G), higher is more similar; :func:`mmreid.evaluation.functional.rank` takes
        them.

    Raises:
        ValueError: If a feature is NaN or infinite, there is no query or no gallery image, or a step that changes
            features comes after one that made scores.
    """
    sides = [{key: value for key, value in side.items() if key != 'pid'} for side in (query, gallery)]
    for side, name in zip(sides, ('query', 'gallery'), strict=True):
        if not len(side['feature']):
            raise ValueError(f'0 {name} images are there, so nothing can be ranked')
        check_finite(side['feature'], name, side.get('img_path'))
    for step in steps:
        result = step(*sides, matcher, device, scores=scores)
        if not isinstance(result, tuple):
            scores = as_score_blocks(result)
        elif scores is not None and not scores.of_matcher:
            raise ValueError(
                f'{type(step).__name__} changes features, but an earlier step has made scores of them; put it first'
            )
        else:
            sides, scores = list(result), None
    if scores is not None:
        return scores
    names = (sides[0].get('img_path'), sides[1].get('img_path'))
    return FeatureScores(
        sides[0]['feature'], sides[1]['feature'], matcher, device=device, names=names if all(names) else None
    )
