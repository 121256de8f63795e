# Copyright (c) mmreid contributors. All rights reserved.
"""ROC of verification: is a pair of images the same person? Exact, with the highest scores of wrong pairs only."""

import math
from dataclasses import dataclass

import torch


@dataclass
class Roc:
    """The part of a ROC curve up to some false positive rate.

    Attributes:
        match (torch.Tensor): Scores of all right pairs, descending; shape (M,).
        other (torch.Tensor): The highest scores of wrong pairs, descending; shape (K,).
        num_other (int): Number of wrong pairs in all.
    """

    match: torch.Tensor
    other: torch.Tensor
    num_other: int

    def tpr(self, fpr: float) -> float:
        """Share of right pairs that are accepted at the lowest threshold that accepts no more wrong pairs than allowed.

        A pair is accepted if its score is above the threshold.

        Args:
            fpr (float): Share of wrong pairs that may be accepted.

        Returns:
            float: In [0, 1]; NaN if there is no right pair.

        Raises:
            ValueError: If the curve was not kept so far.
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
        """Gives the kept part of the curve, one point per distinct score that is at least the lowest kept one.

        Returns:
            tuple[torch.Tensor, torch.Tensor]: False and true positive rates, ascending from (0, 0); float64.
        """
        scores = torch.cat([self.match, self.other]).unique().flip(0)
        if len(self.other) < self.num_other:
            scores = scores[scores > self.other[-1]]  # of lower ones, and ties of the last, not all are known
        zero = torch.zeros(1, dtype=torch.float64)
        rates = []
        for part, total in ((self.other, self.num_other), (self.match, len(self.match))):
            accepted = len(part) - torch.searchsorted(part.flip(0), scores)
            rates.append(torch.cat([zero, accepted.double() / total]))
        return rates[0], rates[1]


class RocCollector:
    """Collects scores of right pairs, and those scores of wrong pairs that matter.

    Args:
        max_fpr (float): Highest false positive rate that will be asked for.
        num_pairs (int): Number of all pairs, or more.
    """

    def __init__(self, max_fpr: float, num_pairs: int) -> None:
        self.keep = min(num_pairs, math.ceil(max_fpr * num_pairs) + 1)
        self.match: list[torch.Tensor] = []
        self.other: torch.Tensor | None = None
        self.num_other = 0

    def add(self, rows: torch.Tensor, row: torch.Tensor, column: torch.Tensor) -> None:
        """Adds a block of scores, and overwrites it.

        Args:
            rows (torch.Tensor): Scores, shape (B, G); NaN marks what is left out.
            row (torch.Tensor): Rows of the right pairs, shape (N,).
            column (torch.Tensor): Their columns, likewise.
        """
        self.match.append(rows[row, column].cpu())
        rows[row, column] = math.nan
        self.num_other += rows.numel() - int(rows.isnan().sum())
        full = self.other is not None and len(self.other) == self.keep
        # Comparing with NaN gives False.
        self._merge(rows[rows >= (self.other[-1] if full else -math.inf)].cpu())

    def _merge(self, scores: torch.Tensor) -> None:
        scores = scores if self.other is None else torch.cat([self.other, scores])
        self.other = scores.topk(min(self.keep, len(scores))).values

    def state(self) -> tuple[list[torch.Tensor], torch.Tensor | None, int]:
        """Gives what was collected, for another collector.

        Returns:
            tuple[list[torch.Tensor], torch.Tensor | None, int]: The attributes.
        """
        return self.match, self.other, self.num_other

    def join(self, state: tuple[list[torch.Tensor], torch.Tensor | None, int]) -> None:
        """Adds what another collector collected.

        Args:
            state (tuple): Its :meth:`state`.
        """
        match, other, num_other = state
        self.match += match
        self.num_other += num_other
        if other is not None:
            self._merge(other)

    def result(self) -> Roc:
        """Gives the curve.

        Returns:
            Roc: Of all that was added.
        """
        match = torch.cat(self.match) if self.match else torch.zeros(0)
        other = self.other if self.other is not None else match[:0]
        return Roc(match.sort(descending=True).values, other, self.num_other)
