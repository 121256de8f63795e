# Copyright (c) mmreid contributors. All rights reserved.
"""Galleries of one image per identity, drawn at random: the first protocol of CUHK03 (Li et al., CVPR 2014)."""

import torch

from .protocols import PairIndex


class SingleShotDraws:
    """Draws galleries and finds the place of each query's match in them.

    In each trial the images get random keys, and each identity is represented by the image with the lowest key among
    those that the query may see. So all queries share one gallery, except where their own identity loses its image.

    Args:
        index (PairIndex): Query and gallery; its protocol has the number of trials and the seed.
    """

    def __init__(self, index: PairIndex) -> None:
        generator = torch.Generator().manual_seed(index.protocol.seed)
        shape = (index.protocol.trials, len(index.codes))
        self.keys = torch.rand(shape, generator=generator, dtype=torch.float64)
        starts = torch.bincount(index.codes, minlength=index.num_ids).cumsum(0).roll(1)
        starts[0] = 0
        drawn = []
        for keys in self.keys:
            order = keys.argsort()
            drawn.append(order[index.codes[order].argsort(stable=True)][starts].sort().values)
        self.drawn = torch.stack(drawn)

    def places(self, rows: torch.Tensor, row: torch.Tensor, column: torch.Tensor) -> torch.Tensor:
        """Ranks the drawn match of each query among the drawn images.

        Args:
            rows (torch.Tensor): Scores, shape (B, G); NaN marks what is left out.
            row (torch.Tensor): Rows of the matches, sorted; shape (N,), int64.
            column (torch.Tensor): Their columns, likewise.

        Returns:
            torch.Tensor: Shape (B, T), int64, 0 where a query has no match; on the device of the scores.
        """
        places = torch.zeros(len(rows), len(self.keys), dtype=torch.int64, device=rows.device)
        for trial, (keys, drawn) in enumerate(zip(self.keys, self.drawn, strict=True)):
            order = keys[column].argsort()
            order = order[row[order].argsort(stable=True)]
            first = order[torch.searchsorted(row, row.unique())]
            match, own, drawn = (
                index.to(rows.device, non_blocking=True) for index in (column[first, None], row[first, None], drawn)
            )
            score = rows[own, match]
            others = rows[own, drawn]
            # A query's own identity is never ahead: its drawn image is the match itself or is left out.
            ahead = (others > score) | ((others == score) & (drawn < match))
            places[own[:, 0], trial] = 1 + ahead.sum(1)
        return places
