# Copyright (c) mmreid contributors. All rights reserved.
"""Matchers of embedding vectors. A matcher turns query and gallery features into scores; higher is more similar."""

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule

from mmreid.models.utils.distance import squared_euclidean_distance
from mmreid.registry import MODELS


@MODELS.register_module()
class CosineMatcher(BaseModule):
    """Cosine similarity."""

    def forward(self, query: torch.Tensor, gallery: torch.Tensor) -> torch.Tensor:
        """Scores every pair.

        Args:
            query (torch.Tensor): Embeddings, shape (Q, D).
            gallery (torch.Tensor): Embeddings, shape (G, D).

        Returns:
            torch.Tensor: Shape (Q, G), in [-1, 1].
        """
        # Dividing the scores spares a normalised copy of the gallery for each block of queries.
        norms = gallery.norm(dim=1).clamp_min(1e-12)
        return F.normalize(query, dim=1) @ gallery.t() / norms


@MODELS.register_module()
class EuclideanMatcher(BaseModule):
    """Negative squared Euclidean distance."""

    def forward(self, query: torch.Tensor, gallery: torch.Tensor) -> torch.Tensor:
        """Scores every pair.

        Args:
            query (torch.Tensor): Embeddings, shape (Q, D).
            gallery (torch.Tensor): Embeddings, shape (G, D).

        Returns:
            torch.Tensor: Shape (Q, G), at most 0.
        """
        return -squared_euclidean_distance(query, gallery)
