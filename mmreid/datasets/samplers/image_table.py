# Copyright (c) mmreid contributors. All rights reserved.
"""A table of images by group that hands out every image of a group before one comes again."""

import numpy as np


def shuffled_within(groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns positions, shape (N,), that sort non-negative groups, in random order within a group; draws N numbers."""
    return np.argsort((groups << 32) | rng.integers(0, 2**32, len(groups)), kind='stable')


class ImageTable:
    """Indices of a data set, group by group, in one array; a group is e.g. an identity.

    Args:
        groups (np.ndarray): Group of each image, shape (N,).
        num_groups (int): Number of groups, of which some may be empty.

    Attributes:
        counts (np.ndarray): Images of each group, shape (num_groups,).
        starts (np.ndarray): Where each group begins in ``members``, shape (num_groups,).
        members (np.ndarray): Indices of the images by group, in the order of the data set, shape (N,).
    """

    def __init__(self, groups: np.ndarray, num_groups: int) -> None:
        groups = np.asarray(groups, dtype=np.int64)
        self.counts = np.bincount(groups, minlength=num_groups)
        self.starts = np.cumsum(self.counts) - self.counts
        self.members = np.argsort(groups, kind='stable')
        self._groups = groups[self.members]

    def shuffle(self, rng: np.random.Generator) -> None:
        """Starts over with a new order in every group; ``rng`` is the source of this and all later orders."""
        self._rng = rng
        self._order = self.members[shuffled_within(self._groups, rng)]
        self._used = np.zeros(len(self.counts), dtype=np.int64)

    def draw(self, groups: np.ndarray, size: int) -> np.ndarray:
        """Draws the next images of some groups; a group with too few images repeats them.

        Args:
            groups (np.ndarray): Different groups, none of them empty, shape (G,).
            size (int): Images of each.

        Returns:
            np.ndarray: Indices of the images, shape (G, size).
        """
        used = self._used[groups]
        at = (self.starts[groups] + used)[:, None] + np.arange(size)
        drawn = self._order[np.minimum(at, len(self._order) - 1)]
        short = np.flatnonzero(used + size > self.counts[groups])
        self._used[groups] = used + size
        if len(short):
            drawn[short] = self._draw_over_the_end(groups[short], used[short], size)
        return drawn

    def _draw_over_the_end(self, groups: np.ndarray, used: np.ndarray, size: int) -> np.ndarray:
        """Takes what is left of each group, then continues in new orders; the first starts with unused images."""
        counts, starts = self.counts[groups], self.starts[groups]
        left = counts - used
        passes = -((left - size) // counts)  # new orders that each group needs, at least 1
        # One element per (group, pass, image).
        lengths = counts * passes
        first = np.cumsum(lengths) - lengths
        row = np.repeat(np.arange(len(groups)), lengths)
        turn, place = np.divmod(np.arange(len(row)) - first[row], counts[row])
        slot = starts[row] + place
        just_shown = (turn == 0) & (place >= used[row])
        turns_before = np.cumsum(passes) - passes
        order = shuffled_within(2 * (turns_before[row] + turn) + just_shown, self._rng)
        images = self._order[slot[order]]

        column = np.arange(size)
        old = self._order[np.minimum((starts + used)[:, None] + column, len(self._order) - 1)]
        new = images[np.maximum((first - left)[:, None] + column, 0)]
        drawn = np.where(column < left[:, None], old, new)

        last = turn == passes[row] - 1
        self._order[slot[last]] = images[last]
        self._used[groups] = size - left - counts * (passes - 1)
        return drawn
