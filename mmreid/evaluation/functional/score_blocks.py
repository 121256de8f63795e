# Copyright (c) mmreid contributors. All rights reserved.
"""Sources of scores: a matrix, a function, or features and a matcher; one block of queries at a time."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch

from mmreid.models.matchers.base import Matcher, Prepared, as_matcher

TILE_BYTES = 2**28
HALF_TILE_BYTES = 2**22  # of features in half precision, which matchers convert to float32


class ScoreBlocks(ABC):
    """Base of the sources of scores.

    Attributes:
        element_size (int): Bytes of a score.
        max_rows (int): Most queries in a block. Process ranks share the blocks, so slow matchers have smaller ones.
        shape (tuple[int, int] | None): Numbers of queries and gallery images, if known.
        probability (str | None): How TLift brings the scores into [0, 1], see :class:`~mmreid.models.Matcher`.
        of_matcher (bool): Whether these are cached scores of the matcher, not made by a step of ``post``.
    """

    element_size = 4
    max_rows = 512  # more make a matrix product no faster
    shape: tuple[int, int] | None = None
    probability: str | None = None
    of_matcher = False

    @property
    def name(self) -> str:
        """str: Name for messages."""
        return type(self).__name__

    @abstractmethod
    def rows(self, block: slice) -> torch.Tensor:
        """Returns the scores of some queries for the whole gallery.

        Args:
            block (slice): Queries, with start and stop.

        Returns:
            torch.Tensor: Shape (B, G), higher is more similar. The caller may overwrite it, and so may the next call.
        """


class MatrixScores(ScoreBlocks):
    """Scores, or distances, from a given matrix, which is not changed.

    Args:
        matrix (torch.Tensor): Shape (Q, G).
        negate (bool): Whether it holds distances. Defaults to False.
    """

    def __init__(self, matrix: torch.Tensor, negate: bool = False) -> None:
        if matrix.ndim != 2:
            raise ValueError(f'scores must have shape (queries, gallery), got {tuple(matrix.shape)}')
        self.matrix, self.negate = matrix, negate
        self.dtype = _at_least_single(matrix.dtype)
        self.element_size = self.dtype.itemsize
        self.shape = tuple(matrix.shape)

    def rows(self, block: slice) -> torch.Tensor:
        """Returns scores of a block of queries, (B, G)."""
        rows = self.matrix[block].to(self.dtype)
        if self.negate:
            return -rows
        return rows if rows.dtype != self.matrix.dtype else rows.clone()


class FunctionScores(ScoreBlocks):
    """Scores from a function of a slice of queries; its result is not changed.

    Args:
        function (Callable[[slice], torch.Tensor]): Returns scores of shape (B, G).
    """

    def __init__(self, function: Callable[[slice], torch.Tensor]) -> None:
        self.function = function

    def rows(self, block: slice) -> torch.Tensor:
        """Returns scores of a block of queries, (B, G)."""
        return MatrixScores(self.function(block)).rows(slice(None))


class FeatureScores(ScoreBlocks):
    """Scores from features and a matcher.

    The gallery is prepared once; a large one in tiles, again for each block of queries, if the matcher
    ``prepares_copy``.

    Args:
        q_feats (torch.Tensor): Features of the queries, (Q, D) or any shape (Q, ...) the matcher takes.
        g_feats (torch.Tensor): Features of the gallery, likewise.
        matcher (Matcher | Callable): A matcher, or any function of query and gallery features that returns scores of
            shape (Q, G).
        device (torch.device | str, optional): Where to match. Features on another device are moved, the whole gallery
            at once if it fits easily, else in tiles. A gallery in half precision is kept and prepared in tiles.
            Defaults to the device of the gallery.
        tile (int, optional): Most gallery images to match in one call. Defaults to all of them.
        names (tuple[Sequence[str], Sequence[str]], optional): Names of the query and the gallery images, for messages.
            Defaults to None.

    Raises:
        ValueError: If a feature is NaN or infinite.
    """

    def __init__(
        self,
        q_feats: torch.Tensor,
        g_feats: torch.Tensor,
        matcher: Callable,
        device: torch.device | str | None = None,
        tile: int | None = None,
        names: tuple[Sequence[str], Sequence[str]] | None = None,
    ) -> None:
        q_names, g_names = names or (None, None)
        check_finite(q_feats, 'query', q_names)
        check_finite(g_feats, 'gallery', g_names)
        self.device = torch.device(device) if device is not None else g_feats.device
        self.matcher, self.q_feats, self.g_feats = as_matcher(matcher), q_feats, g_feats
        self.shape = len(q_feats), len(g_feats)
        self.gallery: Any = None
        fits = _fits(g_feats, self.device)
        self.max_rows = self.matcher.max_rows
        if fits and not prepared_in_tiles(g_feats, self.matcher):
            self.gallery = self._prepare(g_feats)
        else:
            self.g_feats = g_feats.to(self.device) if fits else g_feats
            tile = min(tile or len(g_feats), images_per_tile(g_feats))
        self.tile = tile or len(g_feats)
        self.buffer: torch.Tensor | None = None

    @torch.no_grad()
    def rows(self, block: slice) -> torch.Tensor:
        """Returns scores of a block of queries, (B, G)."""
        query = self._prepare(self.q_feats[block])
        count, num_gallery = len(self.q_feats[block]), len(self.g_feats)
        for start in range(0, num_gallery, self.tile):
            part = slice(start, min(start + self.tile, num_gallery))
            gallery = self._prepare(self.g_feats[part]) if self.gallery is None else _take(self.gallery, part)
            self._fill(query, gallery, count, part)
        return self.buffer[:count]

    @torch.no_grad()
    def _prepare(self, feats: torch.Tensor) -> Prepared:
        feats = feats.to(self.device)
        return self.matcher.prepare(feats)

    def _fill(self, query: Prepared, gallery: Prepared, count: int, part: slice) -> None:
        """Writes the scores of one tile into the buffer, which the first tile creates."""
        ready = self.buffer is not None and len(self.buffer) >= count
        if ready:
            self.matcher.score(query, gallery, out=self.buffer[:count, part])
            return
        scores = self.matcher.score(query, gallery)
        if scores.shape != (count, part.stop - part.start):
            raise ValueError(
                f'{self.matcher.name} gave scores of shape {tuple(scores.shape)} for {count} queries and '
                f'{part.stop - part.start} gallery images; a matcher returns one score for each pair'
            )
        self.buffer = scores.new_empty(count, len(self.g_feats), dtype=_at_least_single(scores.dtype))
        self.buffer[:count, part] = scores


def as_score_blocks(scores: torch.Tensor | ScoreBlocks | Callable[[slice], torch.Tensor]) -> ScoreBlocks:
    """Wraps a matrix (Q, G), or a function that returns its rows for a slice of queries."""
    if isinstance(scores, ScoreBlocks):
        return scores
    return MatrixScores(scores) if isinstance(scores, torch.Tensor) else FunctionScores(scores)


def check_finite(feats: torch.Tensor, part: str, names: Sequence[str] | None = None) -> None:
    """Checks that features can be compared.

    Args:
        feats (torch.Tensor): Features, shape (N, ...).
        part (str): ``'query'`` or ``'gallery'``, for the message.
        names (Sequence[str], optional): Names of the images. Defaults to None.

    Raises:
        ValueError: If a feature is NaN or infinite, or so large that its square overflows.
    """
    if not feats.numel():
        return
    # One pass without a copy of all features; a norm is finite only if every number of the feature is.
    parts, wide = feats.flatten(1).split(images_per_tile(feats)), _at_least_single(feats.dtype)
    bad = ~torch.cat([torch.linalg.vector_norm(part, dim=1, dtype=wide) for part in parts]).isfinite()
    if not bad.any():
        return
    index = int(bad.nonzero()[0])
    what = next(
        (name for name, test in (('NaN', torch.isnan), ('infinite', torch.isinf)) if test(feats[index]).any()),
        'too large to be squared',
    )
    name = f' ({names[index]})' if names is not None else ''
    raise ValueError(
        f'the feature of {part} image {index}{name} is {what}, and so are {int(bad.sum())} of {len(feats)} {part} '
        'features in all; check the weights and, under half precision, overflow'
    )


def is_half(feats: torch.Tensor) -> bool:
    """Returns whether features are in half precision; they are converted to float32 tile by tile."""
    return feats.dtype in (torch.float16, torch.bfloat16)


def prepared_in_tiles(feats: torch.Tensor, matcher: Matcher) -> bool:
    """Returns whether features (N, ...) are prepared tile by tile, to avoid a second copy of all of them."""
    return is_half(feats) or (matcher.prepares_copy and feats.nbytes > TILE_BYTES)


def images_per_tile(feats: torch.Tensor) -> int:
    """Returns how many of the features (N, ...) to move or convert at a time, at least 1."""
    return max(1, (HALF_TILE_BYTES if is_half(feats) else TILE_BYTES) * len(feats) // max(1, feats.nbytes))


def _at_least_single(dtype: torch.dtype) -> torch.dtype:
    """Returns a dtype that keeps the order of scores: float32 holds every half, float64 every integer up to 2**53."""
    if dtype in (torch.float16, torch.bfloat16):
        return torch.float32
    return dtype if dtype.is_floating_point else torch.float64


def _take(prepared: Prepared, part: slice) -> Prepared:
    return tuple(value[part] for value in prepared) if isinstance(prepared, tuple) else prepared[part]


def _fits(feats: torch.Tensor, device: torch.device) -> bool:
    """Returns whether all features fit on a device with half of its free memory to spare."""
    if device.type != 'cuda' or feats.device == device:
        return True
    return feats.nbytes < torch.cuda.mem_get_info(device)[0] / 2
