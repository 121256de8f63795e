# Copyright (c) mmreid contributors. All rights reserved.
"""What a search needs to know of all entries, as arrays in memory. It is read from the database, never from a cache."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from .entries import MODALITIES
from .entry_filter import GalleryFilter

_ROWS = 'SELECT key, crc, id, camera, time, modality FROM entries WHERE key > ? ORDER BY key'
_STEP = 100_000  # rows
NONE = -1  # code of what an entry does not have
NEVER = -2  # code of what no entry has


class Names(dict):
    """Numbers texts in the order in which they come; None is :data:`NONE`."""

    def code(self, name: str | None) -> int:
        """Returns the number of a text, a new one if need be."""
        return NONE if name is None else self.setdefault(name, len(self))

    def known(self, name: str | None) -> int:
        """Returns the number of a text, :data:`NEVER` if there is none."""
        return NONE if name is None else self.get(name, NEVER)


def _column(dtype: type) -> np.ndarray:
    return field(default_factory=lambda: np.empty(0, dtype))


@dataclass
class Columns:
    """Keys, checksums and metadata of N entries in the order of their keys.

    Attributes:
        keys (np.ndarray): Shape (N,), int64, ascending.
        crcs (np.ndarray): CRC-32 of the features, uint32.
        ids (np.ndarray): Codes of the identities, int64; see :class:`Names`.
        cameras (np.ndarray): Codes of the cameras, int64.
        times (np.ndarray): Seconds, float64; NaN where there is none.
        modalities (np.ndarray): Places in ``MODALITIES``, int64.
    """

    keys: np.ndarray = _column(np.int64)
    crcs: np.ndarray = _column(np.uint32)
    ids: np.ndarray = _column(np.int64)
    cameras: np.ndarray = _column(np.int64)
    times: np.ndarray = _column(np.float64)
    modalities: np.ndarray = _column(np.int64)
    id_names: Names = field(default_factory=Names)
    camera_names: Names = field(default_factory=Names)

    def __len__(self) -> int:
        return len(self.keys)

    def read_new(self, connection: sqlite3.Connection) -> None:
        """Reads the entries behind the last one that is known."""
        cursor = connection.execute(_ROWS, (int(self.keys[-1]) if len(self) else -1,))
        parts = [self.keys], [self.crcs], [self.ids], [self.cameras], [self.times], [self.modalities]
        while rows := cursor.fetchmany(_STEP):
            keys, crcs, ids, cameras, times, modalities = zip(*rows, strict=True)
            read = (
                np.array(keys, np.int64),
                np.array(crcs, np.uint32),
                np.array([self.id_names.code(name) for name in ids], np.int64),
                np.array([self.camera_names.code(name) for name in cameras], np.int64),
                np.array(times, np.float64),  # None becomes NaN
                np.array([_modality(name) for name in modalities], np.int64),
            )
            for part, column in zip(parts, read, strict=True):
                part.append(column)
        joined = (np.concatenate(part) if len(part) > 1 else part[0] for part in parts)
        self.keys, self.crcs, self.ids, self.cameras, self.times, self.modalities = joined

    def chosen(self, wanted: GalleryFilter) -> np.ndarray | None:
        """Returns which entries a filter chooses, shape (N,), bool; None for all."""
        if wanted.is_empty:
            return None
        chosen = np.ones(len(self), bool)
        if wanted.keys is not None:
            chosen &= np.isin(self.keys, np.array(wanted.keys, np.int64))
        for codes, names, texts in (
            (self.ids, self.id_names, wanted.ids),
            (self.cameras, self.camera_names, wanted.cameras),
        ):
            if texts is not None:
                chosen &= np.isin(codes, [names.known(text) for text in texts])
        if wanted.not_cameras is not None:
            chosen &= ~np.isin(self.cameras, [self.camera_names.known(text) for text in wanted.not_cameras])
        if wanted.since is not None:
            chosen &= self.times >= wanted.since
        if wanted.until is not None:
            chosen &= self.times < wanted.until
        if wanted.modality is not None:
            chosen &= self.modalities == MODALITIES.index(wanted.modality)
        return chosen

    def camera_codes(self, cameras: Sequence[str | None] | None) -> np.ndarray | None:
        """Returns the codes of cameras that must not be found; None leaves all entries."""
        if cameras is None:
            return None
        return np.array([NEVER if name is None else self.camera_names.known(name) for name in cameras], np.int64)


def _modality(name: str | None) -> int:
    return MODALITIES.index(name) if name in MODALITIES else NONE
