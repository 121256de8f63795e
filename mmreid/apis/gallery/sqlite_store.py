# Copyright (c) mmreid contributors. All rights reserved.
"""Galleries in one SQLite file."""

import json
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mmreid.models.matchers import Matcher
from mmreid.utils.json_text import parse_json

from .approximate_index import IndexFacts
from .derived_files import remove_files
from .embedded_search import EmbeddedSearch
from .entries import GalleryAnswer, GalleryEntry, NewEntry
from .entry_filter import ALL, GalleryFilter
from .exact_search import ExactSearch
from .model_info import GalleryFacts
from .row_faults import row_faults
from .shortlist_search import ShortlistSearch
from .sql_filter import condition_of
from .sqlite_file import connect, explained, snapshot, transaction
from .sqlite_summary import summary_of
from .store import GalleryDamagedError, GalleryStore, Question, StoredBatch, joined_facts

_COLUMNS = 'key, id, camera, time, modality, image, extra'
_INSERT = f'INSERT INTO entries ({_COLUMNS}, digest, crc) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)'  # noqa: S608  constants
_LISTED = 'IN (SELECT value FROM json_each(?))'


class SqliteStore(GalleryStore):
    """A gallery in one SQLite file in WAL mode: any number of readers, one writer at a time.

    Args:
        path (Path): The file.
        wait (float): Seconds to wait for another process that writes. Defaults to 10.
        create (bool): Whether the file may be made. Defaults to True.

    Raises:
        FileNotFoundError: If it is absent and may not be made.
        GalleryDamagedError: If it is another file.
    """

    def __init__(self, path: Path, wait: float = 10.0, create: bool = True) -> None:
        self.path, self.place = path, str(path)
        self.connection = connect(path, wait, create)
        self.folder = path.with_name(f'{path.name}.cache')
        self.engine: EmbeddedSearch | None = None
        self.seen: tuple | None = None  # what the database was like when the search read it
        self.deletions = 0

    def settle(self, wanted: GalleryFacts) -> GalleryFacts:
        """Writes those facts that were not known yet, and returns those that hold."""
        with explained(self.path):
            known = self._facts()
            if known == joined_facts(known, wanted, self.count()):
                return known  # nothing to write, so no need to wait for a writer
            with transaction(self.connection):
                known = self._facts()
                facts = joined_facts(known, wanted, self.count())
                if facts != known:
                    self._write_fact('gallery', facts.to_json())
                return facts

    def compare_by(self, matcher: Matcher, device: torch.device) -> None:
        """Says how features are compared."""
        kind = ShortlistSearch if self._facts().is_map else ExactSearch
        self.engine = EmbeddedSearch(self.place, self.folder, kind(matcher, device))
        self.seen = None

    def _facts(self) -> GalleryFacts:
        text = self._fact('gallery')
        return GalleryFacts() if text is None else GalleryFacts.from_json(str(text), self.place)

    def _fact(self, name: str) -> Any:
        row = self.connection.execute('SELECT value FROM facts WHERE name = ?', (name,)).fetchone()
        return None if row is None else row[0]

    def _write_fact(self, name: str, value: Any) -> None:
        self.connection.execute('INSERT OR REPLACE INTO facts VALUES (?, ?)', (name, value))

    def add(self, entries: Sequence[NewEntry], digests: Sequence[str | None], features: np.ndarray) -> list[int]:
        """Stores entries in one transaction; see the base."""
        keys: list[int] = []
        rows, blobs = [], []
        with explained(self.path), transaction(self.connection):
            known = self._known([digest for digest in digests if digest is not None])
            last = self.connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'entries'").fetchone()
            key = last[0] if last else 0
            for entry, digest, feature in zip(entries, digests, features, strict=True):
                if digest in known:
                    known[digest].require_same(entry)
                    keys.append(known[digest].key)
                    continue
                key += 1
                keys.append(key)
                blob = feature.tobytes()
                blobs.append((key, blob))
                rows.append((key, *_values(entry), digest, zlib.crc32(blob)))
                if digest is not None:
                    known[digest] = GalleryEntry(**vars(entry), key=key)
            self.connection.executemany(_INSERT, rows)
            self.connection.executemany('INSERT INTO features VALUES (?, ?)', blobs)
        return keys

    def find(self, digests: Sequence[str]) -> dict[str, GalleryEntry]:
        """Returns the entries of images that are stored already."""
        with explained(self.path):
            return self._known(digests)

    def _known(self, digests: Sequence[str]) -> dict[str, GalleryEntry]:
        rows = self.connection.execute(
            f'SELECT digest, {_COLUMNS} FROM entries WHERE digest {_LISTED}',  # noqa: S608  constants
            (json.dumps(digests),),
        )
        return {digest: self._entry(row) for digest, *row in rows}

    def _entry(self, row: Sequence[Any]) -> GalleryEntry:
        key, *values, extra = row
        try:
            return GalleryEntry(*values, extra=None if extra is None else parse_json(extra), key=key)
        except (ValueError, TypeError) as error:
            raise GalleryDamagedError(f'{self.place} is damaged at entry {key}: {error}') from error

    def delete(self, chosen: GalleryFilter) -> int:
        """Deletes entries; the derived files, which hold their vectors, are removed with them."""
        condition, values = condition_of(chosen)
        with explained(self.path), transaction(self.connection):
            rows = self.connection.execute(f'SELECT key FROM entries WHERE {condition}', values)  # noqa: S608  constants
            keys = json.dumps([key for (key,) in rows])
            if keys != '[]':
                self.connection.execute(f'DELETE FROM features WHERE key {_LISTED}', (keys,))  # noqa: S608  constants
                self.connection.execute(f'DELETE FROM entries WHERE key {_LISTED}', (keys,))  # noqa: S608  constants
                self._write_fact('deletions', int(self._fact('deletions') or 0) + 1)
        count = len(json.loads(keys))
        if count:
            remove_files(self.folder)
            with suppress(sqlite3.OperationalError):  # another process reads: the log goes when it has ended
                self.connection.execute('PRAGMA wal_checkpoint(TRUNCATE)')
        return count

    def get(self, keys: Sequence[int]) -> dict[int, GalleryEntry]:
        """Returns entries by key."""
        with explained(self.path):
            rows = self.connection.execute(
                f'SELECT {_COLUMNS} FROM entries WHERE key {_LISTED}',  # noqa: S608  constants
                (json.dumps(list(map(int, keys))),),
            )
            return {row[0]: self._entry(row) for row in rows}

    def entries(self, chosen: GalleryFilter = ALL, size: int = 1000) -> Iterator[list[GalleryEntry]]:
        """Goes through entries, several at a time; what is added or deleted meanwhile may be seen or not."""
        for rows in self._pages(f'SELECT {_COLUMNS} FROM entries', chosen, size):  # noqa: S608  constants
            yield [self._entry(row) for row in rows]

    def batches(self, size: int = 1000) -> Iterator[StoredBatch]:
        """Goes through all that is stored, as :meth:`entries` does."""
        statement = f'SELECT {_COLUMNS}, digest, feature FROM entries JOIN features USING (key)'  # noqa: S608  constants
        for rows in self._pages(statement, ALL, size):
            entries = [self._entry(row) for *row, _, _ in rows]
            yield StoredBatch(entries, [row[-2] for row in rows], self._array([row[-1] for row in rows]))

    def _pages(self, statement: str, chosen: GalleryFilter, size: int) -> Iterator[list[tuple]]:
        """Goes through rows, whose first column is the key, in its order; no transaction stays open between pages."""
        last = -1
        while True:
            condition, values = condition_of(chosen, last)
            with explained(self.path):
                page = f'{statement} WHERE {condition} ORDER BY key LIMIT ?'
                rows = self.connection.execute(page, (*values, size)).fetchall()
            if not rows:
                return
            last = rows[-1][0]
            yield rows

    def _array(self, blobs: Sequence[bytes]) -> np.ndarray:
        facts = self._facts()
        try:
            return np.frombuffer(b''.join(blobs), facts.dtype).reshape(len(blobs), *facts.shape)
        except (TypeError, ValueError) as error:
            raise GalleryDamagedError(
                f'{self.place} is damaged: features have other sizes than {facts.shape}; restore a backup'
            ) from error

    def count(self) -> int:
        """Returns the number of entries."""
        with explained(self.path):
            return self.connection.execute('SELECT count(*) FROM entries').fetchone()[0]

    def search(self, question: Question) -> list[list[GalleryAnswer]]:
        """Answers from arrays that follow the database."""
        with explained(self.path):
            with self._current():
                found = self.engine.answer(question) if len(self.engine.columns) else []
                keys = self.engine.columns.keys
                entries = self.get({int(keys[place]) for row in found for _, place, _ in row})
        answers = [
            [GalleryAnswer(score, entries[int(keys[place])], count) for score, place, count in row] for row in found
        ]
        return answers or [[] for _ in question.features]

    def build_index(self, kind: str | None) -> IndexFacts | None:
        """Builds an approximate index of all entries; None removes it."""
        with explained(self.path):
            with self._current():
                pass  # building takes long, and an open snapshot makes the log of the file grow
            facts = self.engine.build(kind)
            self._remove_deleted()
        return facts

    @contextmanager
    def _current(self) -> Iterator[None]:
        """Lets the search see what one moment had; the transaction of that moment ends with the block."""
        state = self._state()
        with snapshot(self.connection):
            self._refresh(state)
            yield
        self._remove_deleted()

    def _remove_deleted(self) -> None:
        """Removes derived files that were written while another process deleted entries."""
        if self._deletions() != self.deletions:
            remove_files(self.folder)
            self.seen = None

    def _state(self) -> tuple[int, int]:
        """Returns what differs after each change, by other processes or by this one."""
        return self.connection.execute('PRAGMA data_version').fetchone()[0], self.connection.total_changes

    def _deletions(self) -> int:
        return int(self._fact('deletions') or 0)

    def _refresh(self, state: tuple[int, int]) -> None:
        """Makes the search see what the current transaction sees; ``state`` was read before that."""
        if self.engine is None:
            raise ValueError(f'{self.place} holds feature maps, which only their model compares; open it with model=')
        if state == self.seen:
            return
        facts, deletions = self._facts(), self._deletions()
        if deletions != self.deletions:
            self.engine.forget()
        if facts.shape is not None:
            self.engine.refresh(self.connection, facts)
        self.seen, self.deletions = state, deletions

    def summary(self) -> dict[str, Any]:
        """Returns plain data about the content."""
        with explained(self.path):
            return summary_of(self.connection, self.path, self.folder)

    def faults(self) -> Iterator[str]:
        """Examines the file and all that is in it."""
        with explained(self.path):
            for (line,) in self.connection.execute('PRAGMA integrity_check(20)').fetchall():
                if line != 'ok':
                    yield f'{self.place}: {line}'
            yield from row_faults(self.connection, self._facts(), self._entry)

    def close(self) -> None:
        """Closes the file."""
        self.connection.close()


def _values(entry: NewEntry) -> tuple:
    extra = None if entry.extra is None else json.dumps(entry.extra)
    return entry.id, entry.camera, entry.time, entry.modality, entry.image, extra
