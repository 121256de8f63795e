# Copyright (c) mmreid contributors. All rights reserved.
"""Matchers of embedding vectors. A matcher turns query and gallery features into scores; higher is more similar.

``prepare`` does what depends on one side alone, so that a gallery is prepared once for all blocks of queries; ``score``
does the rest. Both run in float32 at least, whatever the autocast says.
"""

import torch
from mmengine.model import BaseModule

from mmreid.models.utils.precision import full_precision
from mmreid.registry import MODELS

Prepared = tuple[torch.Tensor, torch.Tensor]


class _VectorMatcher(BaseModule):
    """What vector matchers share: the features themselves are prepared with one number each, never a copy."""

    def forward(self, query: torch.Tensor, gallery: torch.Tensor) -> torch.Tensor:
        """Scores every pair.

        Args:
            query (torch.Tensor): Embeddings, shape (Q, D).
            gallery (torch.Tensor): Embeddings, shape (G, D).

        Returns:
            torch.Tensor: Shape (Q, G), at least float32.
        """
        return self.score(self.prepare(query), self.prepare(gallery))

    def prepare(self, feats: torch.Tensor) -> Prepared:
        """Computes what depends on one side alone.

        Args:
            feats (torch.Tensor): Embeddings, shape (N, D).

        Returns:
            tuple[torch.Tensor, torch.Tensor]: The embeddings, at least float32, and one number each, shape (N,).
        """
        feats = feats if feats.dtype in (torch.float32, torch.float64) else feats.float()
        with full_precision(feats):
            return feats, self._number(feats)

    def score(self, query: Prepared, gallery: Prepared, out: torch.Tensor | None = None) -> torch.Tensor:
        """Scores every pair of prepared features.

        Args:
            query (tuple): What :meth:`prepare` made of the queries.
            gallery (tuple): What it made of the gallery.
            out (torch.Tensor, optional): Where to write the scores, shape (Q, G); there is no gradient then.

        Returns:
            torch.Tensor: Shape (Q, G).
        """
        with full_precision(query[0]):
            return self._score(*query, *gallery, out)

    def _number(self, feats: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    def _score(
        self, query: torch.Tensor, q: torch.Tensor, gallery: torch.Tensor, g: torch.Tensor, out: torch.Tensor | None
    ) -> torch.Tensor:
        raise NotImplementedError


@MODELS.register_module()
class CosineMatcher(_VectorMatcher):
    """Cosine similarity, in [-1, 1]."""

    def _number(self, feats: torch.Tensor) -> torch.Tensor:
        return feats.norm(dim=1).clamp_min(1e-12).reciprocal()

    def _score(self, query, q, gallery, g, out):
        # Scaling the scores by the norms of the gallery spares a normalized copy of it.
        query = query * q[:, None]
        if out is None:
            return query @ gallery.t() * g
        return torch.mm(query, gallery.t(), out=out).mul_(g)


@MODELS.register_module()
class EuclideanMatcher(_VectorMatcher):
    """Negative squared Euclidean distance, at most 0."""

    def _number(self, feats: torch.Tensor) -> torch.Tensor:
        return feats.norm(dim=1).square()  # the sum of squares would square a copy

    def _score(self, query, q, gallery, g, out):
        if out is None:
            return torch.addmm(-(q[:, None] + g), query, gallery.t(), alpha=2).clamp_max(0)
        torch.add(q[:, None], g, out=out)
        return out.addmm_(query, gallery.t(), beta=-1, alpha=2).clamp_max_(0)
