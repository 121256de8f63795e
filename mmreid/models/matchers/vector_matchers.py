# Copyright (c) mmreid contributors. All rights reserved.
"""Matchers of embedding vectors. They compute in float32 at least, whatever the autocast says."""

from abc import abstractmethod

import torch

from mmreid.models.utils.precision import full_precision
from mmreid.registry import MODELS

from .base import Matcher

Prepared = tuple[torch.Tensor, torch.Tensor]


class _VectorMatcher(Matcher):
    """Base of the matchers of embeddings (N, D), which are prepared without a copy: one number for each is added."""

    symmetric = True

    def prepare(self, feats: torch.Tensor) -> Prepared:
        """Returns the embeddings (N, D), at least float32, and one number each (N,)."""
        feats = feats if feats.dtype in (torch.float32, torch.float64) else feats.float()
        with full_precision(feats):
            return feats, self._number(feats)

    def score(self, query: Prepared, gallery: Prepared, out: torch.Tensor | None = None) -> torch.Tensor:
        """Scores every pair in full precision."""
        with full_precision(query[0]):
            return self._score(*query, *gallery, out)

    @abstractmethod
    def _number(self, feats: torch.Tensor) -> torch.Tensor:
        """Computes the number of each embedding, (N, D) to (N,)."""

    @abstractmethod
    def _score(
        self, query: torch.Tensor, q: torch.Tensor, gallery: torch.Tensor, g: torch.Tensor, out: torch.Tensor | None
    ) -> torch.Tensor:
        """Scores embeddings (Q, D), (G, D) with their numbers (Q,), (G,)."""


@MODELS.register_module()
class CosineMatcher(_VectorMatcher):
    """Cosine similarity, in [-1, 1]."""

    distance = 'one_minus'
    distance_scale = 2.0  # the squared distance of two vectors of length 1 is 2 (1 - cosine)
    probability = 'cosine'

    def _number(self, feats: torch.Tensor) -> torch.Tensor:
        return feats.norm(dim=1).clamp_min(1e-12).reciprocal()

    def _score(self, query, q, gallery, g, out):
        # Scaling the scores by the norms of the gallery saves a normalized copy of it.
        query = query * q[:, None]
        if out is None:
            return query @ gallery.t() * g
        return torch.mm(query, gallery.t(), out=out).mul_(g)


@MODELS.register_module()
class EuclideanMatcher(_VectorMatcher):
    """Negative squared Euclidean distance, at most 0."""

    distance = 'negative'

    def _number(self, feats: torch.Tensor) -> torch.Tensor:
        return feats.norm(dim=1).square()  # feats.square().sum(1) would make a copy

    def _score(self, query, q, gallery, g, out):
        if out is None:
            return torch.addmm(-(q[:, None] + g), query, gallery.t(), alpha=2).clamp_max(0)
        torch.add(q[:, None], g, out=out)
        return out.addmm_(query, gallery.t(), beta=-1, alpha=2).clamp_max_(0)
