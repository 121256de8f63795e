# Copyright (c) mmreid contributors. All rights reserved.
"""ROC of verification: does a pair of images show the same person? Exact; keeps only the highest wrong scores."""

import math
from dataclasses import dataclass

import torch


@dataclass
class Roc:
    """The part of a ROC curve up to some false positive rate.

    Attributes:
        match (torch.Tensor): Scores of all right pairs, descending; shape (M,).
        other (torch.Tensor): The highest scores of wrong pairs, descending; shape (K,).
        num_other (int): Number of all wrong pairs.
    """

    match: torch.Tensor
    other: torch.Tensor
    num_other: int

    def tpr(self, fpr: float) -> float:
        """Returns the fraction of right pairs above the lowest threshold with a false positive rate of at most ``fpr``.

        Args:
            fpr (float): Fraction of wrong pairs that may be above the threshold.

        Returns:
            float: In [0, 1]; NaN if there is no right pair.

        Raises:
            ValueError: If the curve was not kept up to this rate.
        """
        if not len(self.match):
            return math.nan
        allowed = math.floor(fpr * self.num_other + 1e-6)
        if allowed >= self.num_other:
            return 1.0
        if allowed >= len(self.other):
            raise ValueError(f'fpr={fpr} is beyond the part of the ROC that was kept; rank with a higher roc_fpr')
        return float((self.match > self.other[allowed]).double().mean())

    def curve(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the kept part of the curve, one point per distinct score down to the lowest kept one.

        Returns:
            tuple[torch.Tensor, torch.Tensor]: False and true positive rates, ascending from (0, 0); float64.
        """
        scores = torch.cat([self.match, self.other]).unique().flip(0)
        if len(self.other) < self.num_other:
            scores = scores[scores > self.other[-1]]  # lower ones, and ties of the last, are incomplete
        zero = torch.zeros(1, dtype=torch.float64)
        rates = []
        for part, total in ((self.other, self.num_other), (self.match, len(self.match))):
            accepted = len(part) - torch.searchsorted(part.flip(0), scores)
            rates.append(torch.cat([zero, accepted.double() / total]))
        return rates[0], rates[1]


class RocCollector:
    """Collects all scores of right pairs and the highest scores of wrong pairs.

    Args:
        max_fpr (float): Highest false positive rate that is needed.
        num_pairs (int): Upper bound on the number of pairs.
    """

    def __init__(self, max_fpr: float, num_pairs: int) -> None:
        self.keep = min(num_pairs, math.ceil(max_fpr * num_pairs) + 1)
        self.match: list[torch.Tensor] = []
        self.other: torch.Tensor | None = None
        self.num_other: int | torch.Tensor = 0

    def add(self, rows: torch.Tensor, row: torch.Tensor, column: torch.Tensor) -> None:
        """Adds scores (B, G), NaN where left out, with right pairs at ``row``, ``column`` (N,)."""
        rows = rows.clone()  # others may read them, too
        row, column = (index.to(rows.device, non_blocking=True) for index in (row, column))
        self.match.append(rows[row, column])
        rows[row, column] = math.nan
        self.num_other = self.num_other + (rows == rows).sum()
        if device_type(rows) != 'cpu':  # which of them are high enough would have to be waited for
            self._merge(rows.nan_to_num(-math.inf, math.inf, -math.inf).flatten())
            return
        full = self.other is not None and len(self.other) == self.keep
        # Comparing with NaN gives False.
        self._merge(rows[rows >= (self.other[-1] if full else -math.inf)])

    def _merge(self, scores: torch.Tensor) -> None:
        scores = scores if self.other is None else torch.cat([self.other, scores])
        self.other = scores.topk(min(self.keep, len(scores))).values

    def state(self) -> tuple[list[torch.Tensor], torch.Tensor | None, int]:
        """Returns what was collected, for :meth:`join` of another collector; on the CPU."""
        if self.other is None:
            return [], None, 0
        num_other = int(self.num_other)
        return [torch.cat(self.match).cpu()], self.other[:num_other].cpu(), num_other

    def join(self, state: tuple[list[torch.Tensor], torch.Tensor | None, int]) -> None:
        """Adds the :meth:`state` of another collector."""
        match, other, num_other = state
        self.match += match
        self.num_other += num_other
        if other is not None:
            self._merge(other)

    def result(self) -> Roc:
        """Returns the curve of all scores that were added."""
        match = torch.cat(self.match) if self.match else torch.zeros(0)
        other = self.other if self.other is not None else match[:0]
        return Roc(match.sort(descending=True).values, other, int(self.num_other))


def device_type(rows: torch.Tensor) -> str:
    """Returns the type of the device of scores."""
    return rows.device.type
