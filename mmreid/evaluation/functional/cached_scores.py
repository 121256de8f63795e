# Copyright (c) mmreid contributors. All rights reserved.
"""Scores of a slow matcher, computed once and then read from a file."""

import copy
import shutil
import tempfile
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_world_size

from .score_blocks import ScoreBlocks


class CachedScores(ScoreBlocks):
    """Writes scores into a temporary file when they are first needed, and reads them from there afterwards.

    The file takes ``element_size`` x Q x G bytes in the folder for temporary files (``TMPDIR``) and is removed with
    this object. Each process rank caches the blocks it computed, and is assigned the same blocks the next time.

    Args:
        scores (ScoreBlocks): The matcher's scores of the features, of a known shape.
    """

    of_matcher = True

    def __init__(self, scores: ScoreBlocks) -> None:
        self.scores = scores
        self.shape, self.element_size, self.max_rows = scores.shape, scores.element_size, scores.max_rows
        self.columns: torch.Tensor | None = None
        self.file = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as this object
        self.known = np.zeros(self.shape[0], dtype=bool)
        self.of_file: dict[str, Any] = {}

    def choose(self, columns: torch.Tensor) -> 'CachedScores':
        """Returns the scores (Q, H) of some gallery images (H,), int64, backed by the same file."""
        chosen = copy.copy(self)
        chosen.columns, chosen.shape = columns, (self.shape[0], len(columns))
        return chosen

    def rows(self, block: slice) -> torch.Tensor:
        """Returns scores of a block; raises OSError, mostly before anything is matched, if the file does not fit."""
        rows = self._read(block) if self.known[block].all() else self._compute(block)
        return rows if self.columns is None else rows.index_select(1, self.columns.to(rows.device))

    def _compute(self, block: slice) -> torch.Tensor:
        size = len(self.known) * self.scores.shape[1] * self.element_size
        if not self.known.any() and size // get_world_size() > (free := shutil.disk_usage(tempfile.gettempdir()).free):
            raise self._no_room(f'{free / 2**30:.1f} GiB are free', size)
        rows = self.scores.rows(block)
        values = rows.cpu().contiguous().numpy()
        self.of_file.update(dtype=values.dtype, width=values.shape[1], device=rows.device)
        try:
            self.file.seek(block.start * values[0].nbytes)
            self.file.write(values)
            self.file.flush()
        except OSError as error:
            raise self._no_room(error, size) from error
        self.known[block] = True
        return rows

    def _read(self, block: slice) -> torch.Tensor:
        values = np.empty((block.stop - block.start, self.of_file['width']), self.of_file['dtype'])
        self.file.seek(block.start * values[0].nbytes)
        self.file.readinto(values)
        return torch.from_numpy(values).to(self.of_file['device'])

    @staticmethod
    def _no_room(why: object, size: int) -> OSError:
        return OSError(
            f'cannot keep the scores in {tempfile.gettempdir()} ({why}); they take {size / 2**30:.1f} GiB in all: set '
            'the environment variable TMPDIR to a folder with more space, or keep_scores=False of the metric'
        )
