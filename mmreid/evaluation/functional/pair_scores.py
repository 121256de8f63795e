# Copyright (c) mmreid contributors. All rights reserved.
"""Scores between any two images of a test set, queries and gallery alike; never all at once."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise

import torch

from mmreid.models.matchers.base import Matcher, Prepared, as_matcher

from .score_blocks import ScoreBlocks, _fits, check_finite, images_per_tile, prepared_in_tiles


class PairScores(ABC):
    """Base of the scores between any two of N images, the queries first, then the gallery.

    Scores are assumed to be symmetric, as in the published code, so a pair may be scored in one direction only.

    Attributes:
        num_images (int): N.
        dtype (torch.dtype): Type of the scores.
        device (torch.device): Their device.
        max_rows (int): See :class:`ScoreBlocks`.
    """

    num_images: int
    dtype: torch.dtype
    device: torch.device
    max_rows = ScoreBlocks.max_rows

    @abstractmethod
    def tile(self, rows: slice, columns: slice) -> torch.Tensor:
        """Scores two ranges of images.

        Args:
            rows (slice): Images, with start and stop.
            columns (slice): Images, likewise.

        Returns:
            torch.Tensor: Shape (R, C), higher is more similar. The next call may overwrite it.
        """

    @abstractmethod
    def pick(self, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        """Scores two lists of images.

        Args:
            rows (torch.Tensor): Images, shape (R,), int64, ascending, on the CPU.
            columns (torch.Tensor): Images, shape (C,), likewise.

        Returns:
            torch.Tensor: Shape (R, C).
        """


class MatrixPairs(PairScores):
    """Scores, or distances, from given matrices.

    Args:
        q_q (torch.Tensor): Between queries, shape (Q, Q).
        q_g (torch.Tensor): Between query and gallery, shape (Q, G).
        g_g (torch.Tensor): Within the gallery, shape (G, G).
        negate (bool): Whether these are distances. Defaults to False.

    Raises:
        ValueError: If the shapes do not fit.
    """

    def __init__(self, q_q: torch.Tensor, q_g: torch.Tensor, g_g: torch.Tensor, negate: bool = False) -> None:
        num_query, num_gallery = q_g.shape
        if q_q.shape != (num_query, num_query) or g_g.shape != (num_gallery, num_gallery):
            raise ValueError(
                f'query-query {tuple(q_q.shape)}, query-gallery {tuple(q_g.shape)} and gallery-gallery '
                f'{tuple(g_g.shape)} scores do not fit; give (Q, Q), (Q, G) and (G, G)'
            )
        self.quarters, self.negate, self.num_query = ((q_q, q_g), (q_g.t(), g_g)), negate, num_query
        self.num_images = num_query + num_gallery
        self.dtype = q_g.dtype if q_g.dtype == torch.float64 else torch.float32
        self.device = q_g.device

    def tile(self, rows: slice, columns: slice) -> torch.Tensor:
        """Scores two ranges of images."""
        return self.pick(torch.arange(rows.start, rows.stop), torch.arange(columns.start, columns.stop))

    def pick(self, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        """Scores two lists of images."""
        split_rows, split_columns = self._split(rows), self._split(columns)
        scores = torch.cat(
            [
                torch.cat([quarter[i][:, j] for quarter, j in zip(quarters, split_columns, strict=True)], 1)
                for quarters, i in zip(self.quarters, split_rows, strict=True)
            ]
        ).to(self.dtype)
        return scores.neg_() if self.negate else scores

    def _split(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        images = images.to(self.device)
        return images[images < self.num_query], images[images >= self.num_query] - self.num_query


class FeaturePairs(PairScores):
    """Scores from features and a matcher; the features are not copied.

    Args:
        sides (Sequence[torch.Tensor]): Features of the queries and of the gallery, (N, D) or any shape (N, ...) the
            matcher takes; or of one set of images.
        matcher (Matcher | Callable): See :class:`~mmreid.evaluation.functional.FeatureScores`.
        device (torch.device | str, optional): Where to match. Features on another device are moved, all at once if
            they fit easily, else tile by tile. Features in half precision are kept and prepared tile by tile.
            Defaults to the device of the last side.

    Raises:
        ValueError: If a feature is NaN or infinite.
    """

    def __init__(
        self, sides: Sequence[torch.Tensor], matcher: Matcher | Callable, device: torch.device | str | None = None
    ) -> None:
        for feats, name in zip(sides, ('query', 'gallery') if len(sides) == 2 else ('',), strict=True):
            check_finite(feats, name)
        self.device = torch.device(device) if device is not None else sides[-1].device
        fits = [_fits(feats, self.device) for feats in sides]
        self.matcher = as_matcher(matcher)
        self.max_rows = self.matcher.max_rows
        self.sides = [feats.to(self.device) if near else feats for feats, near in zip(sides, fits, strict=True)]
        self.borders = [0, *accumulate(len(feats) for feats in sides)]
        self.num_images = self.borders[-1]
        self.prepared = [
            self._prepare(feats) if near and not prepared_in_tiles(feats, self.matcher) else None
            for feats, near in zip(self.sides, fits, strict=True)
        ]
        self.dtype = self.pick(torch.zeros(1, dtype=torch.int64), torch.zeros(1, dtype=torch.int64)).dtype
        self.buffer = torch.empty(0, dtype=self.dtype, device=self.device)

    @torch.no_grad()
    def tile(self, rows: slice, columns: slice) -> torch.Tensor:
        """Scores two ranges of images."""
        height, width = rows.stop - rows.start, columns.stop - columns.start
        if self.buffer.numel() < height * width:
            self.buffer = torch.empty(height * width, dtype=self.dtype, device=self.device)
        tile = self.buffer[: height * width].view(height, width)
        for i, row_part in self._parts(rows):
            query = self._slice(i, row_part)
            top = self.borders[i] + row_part.start - rows.start
            for j, column_part in self._parts(columns):
                left = self.borders[j] + column_part.start - columns.start
                self._fill(query, j, column_part, tile[top : top + row_part.stop - row_part.start, left:])
        return tile

    @torch.no_grad()
    def pick(self, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        """Scores two lists of images."""
        galleries = self._gather(columns)
        return torch.cat(
            [torch.cat([self._score(query, part) for part in galleries], 1) for query in self._gather(rows)]
        )

    def _gather(self, images: torch.Tensor) -> list[Prepared]:
        """Prepares listed images, one tensor for each side."""
        parts = []
        for feats, (first, end) in zip(self.sides, pairwise(self.borders), strict=True):
            inside = images[(images >= first) & (images < end)] - first
            if len(inside):
                parts.append(self._prepare(feats[inside.to(feats.device, non_blocking=True)]))
        return parts

    def _parts(self, images: slice) -> list[tuple[int, slice]]:
        """Splits images at the borders between the sides."""
        parts = []
        for i, (first, end) in enumerate(pairwise(self.borders)):
            start, stop = max(images.start, first), min(images.stop, end)
            if start < stop:
                parts.append((i, slice(start - first, stop - first)))
        return parts

    def _slice(self, side: int, part: slice) -> Prepared:
        prepared = self.prepared[side]
        if prepared is None:
            return self._prepare(self.sides[side][part])
        return tuple(value[part] for value in prepared) if isinstance(prepared, tuple) else prepared[part]

    @torch.no_grad()
    def _prepare(self, feats: torch.Tensor) -> Prepared:
        return self.matcher.prepare(feats.to(self.device))

    def _score(self, query: Prepared, gallery: Prepared) -> torch.Tensor:
        scores = self.matcher.score(query, gallery)
        return scores if scores.dtype == torch.float64 else scores.float()

    def _fill(self, query: Prepared, side: int, columns: slice, tile: torch.Tensor) -> None:
        """Writes scores into a tile, from its left edge; features that must be moved come in small numbers."""
        feats = self.sides[side]
        step = columns.stop - columns.start
        if self.prepared[side] is None:
            step = min(step, images_per_tile(feats))
        for start in range(columns.start, columns.stop, step):
            part = slice(start, min(start + step, columns.stop))
            out = tile[:, start - columns.start : part.stop - columns.start]
            self.matcher.score(query, self._slice(side, part), out=out)
