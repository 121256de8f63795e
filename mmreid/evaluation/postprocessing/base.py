# Copyright (c) mmreid contributors. All rights reserved.
"""What steps between features and ranking look like, and how they are run one after the other."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations

import torch

from mmreid.evaluation.functional.score_blocks import FeatureScores, ScoreBlocks, as_score_blocks, check_finite
from mmreid.evaluation.retrieval_set import RetrievalSet

Scores = torch.Tensor | ScoreBlocks


class PostProcess:
    """Base of the steps of ``post=[...]``. Register them in ``TASK_UTILS``.

    A step changes features, or turns them into scores. It never sees identities: :func:`post_process` removes them.

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
        query: RetrievalSet,
        gallery: RetrievalSet,
        matcher: Callable,
        device: torch.device | str | None = None,
        scores: ScoreBlocks | None = None,
    ) -> tuple[RetrievalSet, RetrievalSet] | Scores:
        """Does the step.

        Args:
            query (RetrievalSet): The query images with features; must not be changed.
            gallery (RetrievalSet): The gallery images, likewise.
            matcher (Callable): Turns features of both into scores of shape (Q, G), higher is more similar.
            device (torch.device | str, optional): Where to match. Defaults to the device of the gallery's features.
            scores (ScoreBlocks, optional): Scores that an earlier step made, which replace those of the matcher; or, if
                their ``of_matcher`` is true, the matcher's own, which were kept. Defaults to None.

        Returns:
            tuple[RetrievalSet, RetrievalSet] | torch.Tensor | ScoreBlocks: Query and gallery with new features; or
            scores of shape (Q, G), higher is more similar, as a matrix or block by block.
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
    query: RetrievalSet,
    gallery: RetrievalSet,
    matcher: Callable,
    device: torch.device | str | None = None,
    scores: ScoreBlocks | None = None,
) -> ScoreBlocks:
    """Runs steps and gives the scores to rank.

    Args:
        steps (Sequence[PostProcess]): The steps, in this order; none gives the scores of the matcher.
        query (RetrievalSet): The query images with features.
        gallery (RetrievalSet): The gallery images, likewise.
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
    query, gallery = (replace(images, pid=None, pid_name=None) for images in (query, gallery))
    for images, role in ((query, 'query'), (gallery, 'gallery')):
        if not len(images):
            raise ValueError(f'there is no {role} image, so there is nothing to rank')
        check_finite(images.feature, role, images.img_path)
    for step in steps:
        result = step(query, gallery, matcher, device, scores=scores)
        if not isinstance(result, tuple):
            scores = as_score_blocks(result)
        elif scores is not None and not scores.of_matcher:
            raise ValueError(
                f'{type(step).__name__} changes features, but an earlier step has made scores of them; put it first'
            )
        else:
            (query, gallery), scores = result, None
    if scores is not None:
        return scores
    names = (query.img_path, gallery.img_path)
    return FeatureScores(query.feature, gallery.feature, matcher, device=device, names=names if all(names) else None)
