# Copyright (c) mmreid contributors. All rights reserved.
"""The whole ROC of verification, exact, in memory that grows with the number of matching pairs only.

The curve changes its true positive rate only at the scores of matching pairs, which are few; wrong pairs are counted
between these and forgotten. :mod:`.roc` keeps the highest wrong scores instead, which suffices for low rates.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold, and what it did to the pairs that it was chosen from. Pairs of at least this score are accepted.

    Attributes:
        threshold (float): In the middle between the scores that it separates.
        fpr (float): Fraction of wrong pairs that are accepted.
        tpr (float): Fraction of matching pairs that are accepted.
    """

    threshold: float
    fpr: float
    tpr: float


@dataclass(frozen=True)
class VerificationCurve:
    """A ROC by the P distinct scores of matching pairs, descending.

    Attributes:
        score (torch.Tensor): These scores, shape (P,), float64.
        lower (torch.Tensor): The next lower score of any pair; -inf after the last. Shape (P,), float64.
        accepted (torch.Tensor): Matching pairs of at least each score, shape (P,), int64.
        wrong_above (torch.Tensor): Wrong pairs above each score, likewise.
        wrong (torch.Tensor): Wrong pairs of at least each score, likewise.
        num_match (int): Number of matching pairs.
        num_other (int): Number of wrong pairs.
        highest (float): The highest score of any pair.
    """

    score: torch.Tensor
    lower: torch.Tensor
    accepted: torch.Tensor
    wrong_above: torch.Tensor
    wrong: torch.Tensor
    num_match: int
    num_other: int
    highest: float

    def corners(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the corners of the curve.

        Returns:
            tuple[torch.Tensor, torch.Tensor]: False and true positive rates from (0, 0) to (1, 1), shape (2P + 2,),
            float64; straight lines join them.
        """
        before = torch.cat([self.accepted.new_zeros(1), self.accepted[:-1]])
        true = torch.stack([before, self.accepted], 1).flatten().double() / self.num_match
        false = torch.stack([self.wrong_above, self.wrong], 1).flatten().double() / self.num_other
        zero, one = true.new_zeros(1), true.new_ones(1)
        return torch.cat([zero, false, one]), torch.cat([zero, true, one])

    def eer(self) -> float:
        """Returns the equal error rate: where the curve crosses false positive rate = false negative rate."""
        false, true = self.corners()
        excess = false + true - 1  # ascends from -1 to 1
        after = int((excess >= 0).nonzero()[0])
        step = float(excess[after] - excess[after - 1])
        part = -float(excess[after - 1]) / step
        return float(false[after - 1] + part * (false[after] - false[after - 1]))

    def at_eer(self) -> OperatingPoint:
        """Returns the threshold below a matching score where the two error rates differ least."""
        gap = (self.wrong.double() / self.num_other + self.accepted.double() / self.num_match - 1).abs()
        return self._point(int(gap.argmin()))

    def at_fpr(self, fpr: float) -> OperatingPoint:
        """Returns the threshold with the highest true positive rate among those that accept few wrong pairs.

        Args:
            fpr (float): Fraction of the wrong pairs that may be accepted.

        Returns:
            OperatingPoint: The threshold; if no matching pair can be accepted, one above the scores of all pairs.
        """
        allowed = math.floor(fpr * self.num_other + 1e-6)
        count = int((self.wrong <= allowed).sum())
        return self._point(count - 1) if count else OperatingPoint(_above(self.highest), 0.0, 0.0)

    def _point(self, index: int) -> OperatingPoint:
        score, lower = float(self.score[index]), float(self.lower[index])
        threshold = score if math.isinf(lower) else (score + lower) / 2
        wrong, accepted = int(self.wrong[index]), int(self.accepted[index])
        return OperatingPoint(threshold, wrong / self.num_other, accepted / self.num_match)


class VerificationCounter:
    """Counts wrong pairs between the scores of matching pairs, which must be known beforehand.

    Args:
        match (torch.Tensor): Scores of all matching pairs, shape (M,), at least one.
    """

    def __init__(self, match: torch.Tensor) -> None:
        self.score, self.count = match.cpu().double().unique(return_counts=True)  # ascending
        slots = len(self.score) + 1  # slot i is open below score i, the last one is above all
        self.between = torch.zeros(slots, dtype=torch.int64)
        self.tied = torch.zeros(slots, dtype=torch.int64)
        self.highest = torch.full((slots,), -math.inf, dtype=torch.float64)

    @property
    def num_other(self) -> int:
        """int: Number of wrong pairs so far."""
        return int(self.between.sum() + self.tied.sum())

    def add(self, other: torch.Tensor) -> None:
        """Adds scores of wrong pairs, shape (N,)."""
        other = other.cpu().double()
        slot = torch.searchsorted(self.score, other)
        tied = self.score[slot.clamp(max=len(self.score) - 1)] == other
        self.tied += torch.bincount(slot[tied], minlength=len(self.tied))
        slot, other = slot[~tied], other[~tied]
        self.between += torch.bincount(slot, minlength=len(self.between))
        self.highest.scatter_reduce_(0, slot, other, 'amax')

    def result(self) -> VerificationCurve:
        """Returns the curve of all scores that were added.

        Raises:
            ValueError: If there was no wrong pair.
        """
        num_other = self.num_other
        if not num_other:
            raise ValueError('there are 0 wrong pairs, so there is no false positive rate; give images of more people')
        above = num_other - (self.between + self.tied).cumsum(0)[:-1]
        lower = torch.maximum(torch.cat([self.highest.new_full((1,), -math.inf), self.score[:-1]]), self.highest[:-1])
        accepted = self.count.flip(0).cumsum(0)
        columns = (self.score, lower, above, above + self.tied[:-1])
        score, lower, above, wrong = (column.flip(0) for column in columns)
        highest = max(float(score[0]), float(self.highest[-1]))
        return VerificationCurve(score, lower, accepted, above, wrong, int(self.count.sum()), num_other, highest)


def _above(score: float) -> float:
    """Returns the next number of float32, in which scores are compared."""
    return float(np.nextafter(np.float32(score), np.float32(np.inf)))
