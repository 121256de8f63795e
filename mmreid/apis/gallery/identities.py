# Copyright (c) mmreid contributors. All rights reserved.
"""Answers that are identities instead of images: all images of a person or tracklet speak together."""

import numpy as np

from .columns import Columns


class Identities:
    """The identities of N entries, numbered in the order of their first entries; one without an id is its own.

    Args:
        columns (Columns): The entries.
    """

    def __init__(self, columns: Columns) -> None:
        alone = len(columns.id_names) + np.arange(len(columns))
        codes = np.where(columns.ids >= 0, columns.ids, alone)
        _, first, numbers = np.unique(codes, return_index=True, return_inverse=True)
        self.of_entry = first.argsort().argsort()[numbers.reshape(-1)]
        self.count = len(first)
        self.places = self.of_entry.argsort(kind='stable')
        self.begins = np.searchsorted(self.of_entry[self.places], np.arange(self.count + 1))

    def members(self, identity: int) -> np.ndarray:
        """Returns the places of the entries of an identity, ascending."""
        return self.places[self.begins[identity] : self.begins[identity + 1]]
