# Copyright (c) mmreid contributors. All rights reserved.
"""One retrieval task: queries, and the galleries that are ranked for them."""

from dataclasses import dataclass

import torch

from .retrieval_set import RetrievalSet


@dataclass
class RetrievalTask:
    """Queries that are ranked against one or several galleries drawn from the same images.

    Attributes:
        query (RetrievalSet): The queries.
        gallery (RetrievalSet): All images that galleries are drawn from.
        galleries (dict[str, list[torch.Tensor | None]]): For each row of the table, the gallery of each trial: indices
            of images, or None for all of them. A metric with a single row calls it ``''``.
    """

    query: RetrievalSet
    gallery: RetrievalSet
    galleries: dict[str, list[torch.Tensor | None]]

    def drawn(self, images: torch.Tensor | None) -> RetrievalSet:
        """Returns the images of one of the galleries."""
        return self.gallery if images is None else self.gallery.take(images)
