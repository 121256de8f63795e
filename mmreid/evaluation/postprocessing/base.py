# Copyright (c) mmreid contributors. All rights reserved.
"""The steps between features and ranking, and how they run one after the other."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations

import torch

from mmreid.evaluation.functional.score_blocks import FeatureScores, ScoreBlocks, as_score_blocks, check_finite
from mmreid.evaluation.retrieval_set import RetrievalSet
from mmreid.models.matchers.base import Matcher, as_matcher

Scores = torch.Tensor | ScoreBlocks


class PostProcess:
    """Base of the steps of ``post=[...]``. Register them in ``TASK_UTILS``.

    A step changes features, or turns them into scores. It never sees identities: :func:`post_process` removes them.

    Attributes:
        needs (tuple[str, ...]): Fields that all records of the test set must have; checked before features are
            extracted.
        of_features (bool): Whether the step needs features, so that no earlier step may return scores.
        makes_scores (bool): Whether the step returns scores.
    """

    needs: tuple[str, ...] = ()
    of_features: bool = False
    makes_scores: bool = False

    @property
    def name(self) -> str:
        """str: Name for messages."""
        return type(self).__name__

    @property
    def label(self) -> str:
        """str: Name in the rows of the table, ``<test set>+<label>``. Defaults to the name of the class."""
        return self.name

    def check(self, feats: torch.Tensor, matcher: Matcher) -> None:
        """Raises ValueError if the step cannot run, before anything is matched, which may take hours.

        Args:
            feats (torch.Tensor): Features of the queries, shape (Q, ...).
            matcher (Matcher): The matcher.
        """

    def __call__(
        self,
        query: RetrievalSet,
        gallery: RetrievalSet,
        matcher: Matcher | Callable,
        device: torch.device | str | None = None,
        scores: ScoreBlocks | None = None,
    ) -> tuple[RetrievalSet, RetrievalSet] | Scores:
        """Runs the step.

        Args:
            query (RetrievalSet): The query images with features; must not be changed.
            gallery (RetrievalSet): The gallery images, likewise.
            matcher (Matcher | Callable): Turns features of both into scores of shape (Q, G), higher is more similar.
            device (torch.device | str, optional): Where to match. Defaults to the device of the gallery's features.
            scores (ScoreBlocks, optional): Scores of an earlier step, which replace the matcher's; or, if their
                ``of_matcher`` is true, cached scores of the matcher. Defaults to None.

        Returns:
            tuple[RetrievalSet, RetrievalSet] | torch.Tensor | ScoreBlocks: Query and gallery with new features; or
            scores of shape (Q, G), higher is more similar, as a matrix or block by block.
        """
        raise NotImplementedError


class FunctionStep(PostProcess):
    """A plain function with the arguments of :meth:`PostProcess.__call__` as a step."""

    def __init__(self, function: Callable) -> None:
        self.function = function

    @property
    def name(self) -> str:
        """str: Name for messages."""
        return type(self.function).__name__

    def __call__(self, *args, **kwargs) -> tuple[RetrievalSet, RetrievalSet] | Scores:
        """Calls the function."""
        return self.function(*args, **kwargs)


def as_step(step: PostProcess | Callable) -> PostProcess:
    """Wraps a plain function; returns a step as it is."""
    return step if isinstance(step, PostProcess) else FunctionStep(step)


def as_steps(steps: Sequence[PostProcess | Callable]) -> list[PostProcess]:
    """Wraps plain functions and checks the order.

    Args:
        steps (Sequence[PostProcess | Callable]): The steps, in the order in which they run.

    Returns:
        list[PostProcess]: The steps.

    Raises:
        ValueError: If a step that needs features comes after one that returns scores.
    """
    wrapped = list(map(as_step, steps))
    for earlier, step in combinations(wrapped, 2):
        if earlier.makes_scores and step.of_features:
            raise ValueError(
                f'{step.name} works on features, but {earlier.name}, which stands before it in post, makes scores of '
                'them; put it first'
            )
    return wrapped


def post_process(
    steps: Sequence[PostProcess | Callable],
    query: RetrievalSet,
    gallery: RetrievalSet,
    matcher: Matcher | Callable,
    device: torch.device | str | None = None,
    scores: ScoreBlocks | None = None,
) -> ScoreBlocks:
    """Runs steps and returns the scores to rank.

    Args:
        steps (Sequence[PostProcess | Callable]): The steps, in this order; without any, the matcher's scores are
            returned.
        query (RetrievalSet): The query images with features.
        gallery (RetrievalSet): The gallery images, likewise.
        matcher (Matcher | Callable): Turns features into scores.
        device (torch.device | str, optional): Where to match. Defaults to the device of the gallery's features.
        scores (ScoreBlocks, optional): Cached scores of the matcher for these features. Defaults to None.

    Returns:
        ScoreBlocks: Scores of shape (Q, G), higher is more similar, for :func:`mmreid.evaluation.functional.rank`.

    Raises:
        ValueError: If a feature is NaN or infinite, there is no query or no gallery image, or a step that changes
            features comes after one that returned scores.
    """
    query, gallery = (replace(images, pid=None, pid_name=None) for images in (query, gallery))
    for images, role in ((query, 'query'), (gallery, 'gallery')):
        if not len(images):
            raise ValueError(f'there are 0 {role} images, so there is nothing to rank')
        check_finite(images.feature, role, images.img_path)
    matcher = as_matcher(matcher)
    for step in map(as_step, steps):
        result = step(query, gallery, matcher, device, scores=scores)
        if not isinstance(result, tuple):
            scores = as_score_blocks(result)
        elif scores is not None and not scores.of_matcher:
            raise ValueError(f'{step.name} changes features, but an earlier step has made scores of them; put it first')
        else:
            (query, gallery), scores = result, None
    if scores is not None:
        return scores
    names = (query.img_path, gallery.img_path)
    return FeatureScores(query.feature, gallery.feature, matcher, device=device, names=names if all(names) else None)
