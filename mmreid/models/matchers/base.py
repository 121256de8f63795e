# Copyright (c) mmreid contributors. All rights reserved.
"""What evaluation and graph sampling may ask of a matcher."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from mmengine.model import BaseModule

Prepared = torch.Tensor | tuple[torch.Tensor, ...]


class Matcher(BaseModule):
    """Base of the matchers. A matcher turns query and gallery features into scores; higher is more similar.

    :meth:`prepare` does what depends on one side alone, so that a gallery is prepared once for all blocks of queries;
    :meth:`score` does the rest.

    Attributes:
        distance (str | None): How re-ranking turns scores into distances: ``'one_minus'``, ``'negative'`` or
            ``'logistic'``. None where the user must choose.
        distance_scale (float): Factor that turns such a distance into a squared Euclidean one, 2 for 1 - cosine.
        probability (str | None): How TLift brings scores into [0, 1]: ``'cosine'``, ``'logistic'``, ``'one_plus'`` or
            ``'identity'``. None where the user must choose.
        max_rows (int): Most queries in a block. Process ranks share the blocks, so slow matchers have smaller ones.
        symmetric (bool): Whether two images have the same score in both directions, up to rounding.
        prepares_copy (bool): Whether :meth:`prepare` copies the features; a large gallery is then prepared in tiles,
            again for each block of queries.
    """

    distance: str | None = None
    distance_scale: float = 1.0
    probability: str | None = None
    max_rows: int = 512  # more make a matrix product no faster
    symmetric: bool = False
    prepares_copy: bool = False

    @property
    def name(self) -> str:
        """str: Name for messages."""
        return type(self).__name__

    def forward(self, query: torch.Tensor, gallery: torch.Tensor) -> torch.Tensor:
        """Scores every pair.

        Args:
            query (torch.Tensor): Features, shape (Q, ...).
            gallery (torch.Tensor): Features, shape (G, ...).

        Returns:
            torch.Tensor: Shape (Q, G), at least float32.
        """
        prepared = self.prepare(query)
        return self.score(prepared, prepared if gallery is query else self.prepare(gallery))

    def prepare(self, feats: torch.Tensor) -> Prepared:
        """Computes what depends on one side alone.

        Args:
            feats (torch.Tensor): Features, shape (N, ...).

        Returns:
            torch.Tensor | tuple[torch.Tensor, ...]: One or several tensors whose first dimension is N. Defaults to the
            features themselves.
        """
        return feats

    @abstractmethod
    def score(self, query: Prepared, gallery: Prepared, out: torch.Tensor | None = None) -> torch.Tensor:
        """Scores every pair of prepared features.

        Args:
            query (torch.Tensor | tuple): What :meth:`prepare` returned for the queries.
            gallery (torch.Tensor | tuple): What it returned for the gallery.
            out (torch.Tensor, optional): Where to write the scores, shape (Q, G), without a gradient. Defaults to None.

        Returns:
            torch.Tensor: Shape (Q, G).
        """


class FunctionMatcher(Matcher):
    """A plain function of query and gallery features as a matcher.

    Args:
        function (Callable): Returns scores of shape (Q, G).
    """

    def __init__(self, function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    @property
    def name(self) -> str:
        """str: Name for messages."""
        return type(self.function).__name__

    def score(self, query: torch.Tensor, gallery: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
        """Calls the function."""
        scores = self.function(query, gallery)
        if scores.shape != (len(query), len(gallery)):
            raise ValueError(
                f'{self.name} gave scores of shape {tuple(scores.shape)} for {len(query)} queries and {len(gallery)} '
                'gallery images; a matcher returns one score for each pair'
            )
        return scores if out is None else out.copy_(scores)


def as_matcher(matcher: Any) -> Matcher:
    """Wraps a plain function; returns a matcher as it is."""
    return matcher if isinstance(matcher, Matcher) else FunctionMatcher(matcher)
