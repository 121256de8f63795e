# Copyright (c) mmreid contributors. All rights reserved.
"""Galleries in Milvus: a server or a cluster for what is too large for one machine."""

import hashlib
import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from mmreid.models.matchers import Matcher

from .approximate_index import IndexFacts
from .entries import GalleryAnswer, GalleryEntry, NewEntry
from .entry_filter import ALL, GalleryFilter
from .milvus_address import connect, explained
from .milvus_collections import ENTRY_FIELDS, entry_of, make_entries, make_facts, row_of
from .milvus_expressions import expression_of, texts
from .model_info import GalleryFacts
from .store import GalleryDamagedError, GalleryStore, Question, StoredBatch, joined_facts

STEP = 500  # rows of a request
CANDIDATES = 200  # identities of a search by identity, of which all entries are scored
MAX_FOUND = 16_384  # what Milvus answers at most


class MilvusStore(GalleryStore):
    """A gallery in Milvus. Searches are as exact as the index of the server.

    Entries with images have keys made of the hashes of image and model, so adding one twice, from any process, stores
    it once. Requests hold up to 500 entries; a call that ends early may have stored some of them.

    Args:
        address (str): ``milvus://HOST:PORT/NAME``, ``milvus+tls://HOST:PORT/NAME``, or for development
            ``milvus-lite://FILE.db``. The environment variable ``MILVUS_TOKEN`` gives ``user:password`` or a token.
        create (bool): Whether the gallery may be made. Defaults to True.

    Raises:
        FileNotFoundError: If it is absent and may not be made.
        ImportError: If pymilvus is not installed.
        OSError: If the server does not answer.
        ValueError: If the address is none of these.
    """

    def __init__(self, address: str, create: bool = True) -> None:
        self.place = address
        self.client, self.name, self.is_lite = connect(address, create)
        self.facts_name = f'{self.name}_facts'
        if not self.client.has_collection(self.facts_name):
            if not create:
                raise FileNotFoundError(f'there is no gallery {address}; make it with `tools/gallery.py create`')
            make_facts(self.client, self.facts_name)
        for name in (self.facts_name, self.name):
            if self.client.has_collection(name):
                self.client.load_collection(name)  # a server that was started again may not have done it
        self.matcher: Matcher | None = None
        self.facts = self._read_facts()

    def _read_facts(self) -> GalleryFacts:
        rows = self.client.query(self.facts_name, filter='name == "gallery"', output_fields=['value'])
        return GalleryFacts.from_json(rows[0]['value'], self.place) if rows else GalleryFacts()

    def settle(self, wanted: GalleryFacts) -> GalleryFacts:
        """Writes those facts that were not known yet, and returns those that hold."""
        known = self._read_facts()
        facts = joined_facts(known, wanted, self.count())
        if facts.is_map:
            raise ValueError(f'{self.place} cannot keep feature maps; use a gallery in a file')
        if facts != known:
            row = dict(name='gallery', value=facts.to_json(), nothing=[0.0, 0.0])
            self.client.upsert(self.facts_name, [row])
        if facts.shape is not None and not self._exists():
            metric = 'IP' if facts.uses_cosine else 'L2'
            make_entries(self.client, self.name, facts.shape[0], metric, 'FLAT' if self.is_lite else 'AUTOINDEX')
        self.facts = facts
        return facts

    def _exists(self) -> bool:
        return self.client.has_collection(self.name)

    def compare_by(self, matcher: Matcher, device: torch.device) -> None:
        """Says how features are compared where the server does not do it: entries of one identity."""
        self.matcher = matcher

    def add(self, entries: Sequence[NewEntry], digests: Sequence[str | None], features: np.ndarray) -> list[int]:
        """Stores entries; see the class for what a call leaves that ends early."""
        known = self.find([digest for digest in digests if digest is not None])
        rows: dict[int, dict] = {}
        keys = []
        for entry, digest, feature in zip(entries, digests, features, strict=True):
            key = secrets.randbits(62) if digest is None else self._key(digest)
            keys.append(key)
            if digest in known:
                known[digest].require_same(entry)
                continue
            rows[key] = dict(row_of(key, entry, digest), feature=feature.tolist())
            if digest is not None:
                known[digest] = entry_of(rows[key])
        listed = list(rows.values())
        for start in range(0, len(listed), STEP):
            self.client.upsert(self.name, listed[start : start + STEP])
        return keys

    def _key(self, digest: str) -> int:
        model = self.facts.model.fingerprint if self.facts.model else ''
        return int.from_bytes(hashlib.sha256(f'{digest} {model}'.encode()).digest()[:8], 'big') >> 2

    def find(self, digests: Sequence[str]) -> dict[str, GalleryEntry]:
        """Returns the entries of images that are stored already."""
        rows = self._rows(f'digest in {texts(digests)}', [*ENTRY_FIELDS, 'digest']) if digests else []
        return {row['digest']: self._entry(row) for row in rows}

    def _rows(self, expression: str, fields: list[str]) -> list[dict]:
        return [row for batch in self._batches(expression, fields, STEP) for row in batch]

    def _batches(self, expression: str, fields: list[str], size: int) -> Iterator[list[dict]]:
        """Goes through rows in the order of their keys."""
        if not self._exists():
            return
        iterator = self.client.query_iterator(self.name, filter=expression, output_fields=fields, batch_size=size)
        try:
            while True:
                with explained(self.place):
                    batch = iterator.next()
                if not batch:
                    return
                yield sorted(batch, key=lambda row: row['key'])
        finally:
            iterator.close()

    def _entry(self, row: dict) -> GalleryEntry:
        try:
            return entry_of(row)
        except (KeyError, TypeError, ValueError) as error:
            raise GalleryDamagedError(f'{self.place} is damaged at entry {row.get("key")}: {error}') from error

    def delete(self, chosen: GalleryFilter) -> int:
        """Deletes entries; the server drops their vectors from its files when it compacts."""
        keys = [row['key'] for row in self._rows(expression_of(chosen), ['key'])]
        for start in range(0, len(keys), STEP):
            self.client.delete(self.name, ids=keys[start : start + STEP])
        return len(keys)

    def get(self, keys: Sequence[int]) -> dict[int, GalleryEntry]:
        """Returns entries by key."""
        wanted = list(map(int, keys))
        rows = self.client.get(self.name, ids=wanted, output_fields=ENTRY_FIELDS) if wanted and self._exists() else []
        return {int(row['key']): self._entry(row) for row in rows}

    def entries(self, chosen: GalleryFilter = ALL, size: int = STEP) -> Iterator[list[GalleryEntry]]:
        """Goes through entries, several at a time."""
        for rows in self._batches(expression_of(chosen), ENTRY_FIELDS, size):
            yield [self._entry(row) for row in rows]

    def batches(self, size: int = STEP) -> Iterator[StoredBatch]:
        """Goes through all that is stored."""
        for rows in self._batches('', [*ENTRY_FIELDS, 'digest', 'feature'], size):
            features = np.array([row['feature'] for row in rows], np.float32)
            yield StoredBatch([self._entry(row) for row in rows], [row['digest'] or None for row in rows], features)

    def count(self) -> int:
        """Returns the number of entries."""
        if not self._exists():
            return 0
        return self.client.query(self.name, filter='', output_fields=['count(*)'])[0]['count(*)']

    def search(self, question: Question) -> list[list[GalleryAnswer]]:
        """Lets the server search; queries of one camera together."""
        cameras = question.query_cameras or [None] * len(question.features)
        answers: list[list[GalleryAnswer]] = [[] for _ in cameras]
        if not self._exists():
            return answers
        for camera in dict.fromkeys(cameras):
            rows = [row for row, own in enumerate(cameras) if own == camera]
            expression = expression_of(question.filter, camera)
            by = self._entries if question.per_id is None else self._identities
            for row, found in zip(rows, by(question, question.features[rows], expression), strict=True):
                answers[row] = found
        return answers

    def _entries(self, question: Question, query: np.ndarray, expression: str) -> list[list[GalleryAnswer]]:
        found = self._found(query, expression, question.topk, ENTRY_FIELDS)
        return [_sorted([GalleryAnswer(score, self._entry(row)) for score, row in hits]) for hits in found]

    def _found(
        self, query: np.ndarray, expression: str, limit: int, fields: list[str], **options: Any
    ) -> list[list[tuple[float, dict]]]:
        """Searches; returns scores and rows."""
        sign = 1.0 if self.facts.uses_cosine else -1.0
        found = self.client.search(
            self.name,
            data=query.tolist(),
            filter=expression,
            limit=min(limit, MAX_FOUND),
            output_fields=fields,
            consistency_level='Strong',
            **options,
        )
        return [[(sign * hit['distance'], hit['entity']) for hit in hits] for hits in found]

    def _identities(self, question: Question, query: np.ndarray, expression: str) -> list[list[GalleryAnswer]]:
        """Takes the identities of the best entries, and scores all of their entries that pass the filter."""
        limit = max(question.topk, CANDIDATES)
        found = self._found(query, expression, limit, ['person'], group_by_field='person')
        answers = []
        for feature, hits in zip(query, found, strict=True):
            people = list(dict.fromkeys(row['person'] for _, row in hits))
            inside = ' and '.join(filter(None, [expression, f'(person in {texts(people)})']))
            rows = self._rows(inside, [*ENTRY_FIELDS, 'person', 'feature']) if people else []
            answers.append(_sorted(self._answers(question, feature, rows))[: question.topk])
        return answers

    @torch.no_grad()
    def _answers(self, question: Question, feature: np.ndarray, rows: list[dict]) -> list[GalleryAnswer]:
        if not rows:
            return []
        features = torch.tensor([row['feature'] for row in rows], dtype=torch.float32)
        scores = self.matcher(torch.from_numpy(feature[None]), features)[0]
        members: dict[str, list[int]] = {}
        for place, row in enumerate(rows):
            members.setdefault(row['person'], []).append(place)
        answers = []
        for places in members.values():
            best = places[int(scores[places].argmax())]
            score = float(scores[places].mean() if question.per_id == 'mean' else scores[best])
            answers.append(GalleryAnswer(score, self._entry(rows[best]), len(places)))
        return answers

    def build_index(self, kind: str | None) -> IndexFacts | None:
        """Refuses: the index is the server's."""
        raise ValueError(f'{self.place} is searched by the index of its server; there is none to build here')

    def summary(self) -> dict[str, Any]:
        """Returns plain data about the content; reads all entries."""
        rows = self._rows('', ['key', 'id', 'camera', 'modality', 'time', 'timed'])
        times = [row['time'] for row in rows if row['timed']]
        counts = {field: Counter(row[field] for row in rows if row[field]) for field in ('id', 'camera', 'modality')}
        return dict(
            entries=len(rows),
            identities=len(counts['id']),
            cameras=dict(sorted(counts['camera'].items())),
            modalities=dict(sorted(counts['modality'].items())),
            first_time=min(times, default=None),
            last_time=max(times, default=None),
            index=None,
            bytes={},
        )

    def faults(self) -> Iterator[str]:
        """Examines all entries and features."""
        try:
            for batch in self.batches():
                finite = np.isfinite(batch.features).all(1)
                yield from (
                    f'the feature of entry {entry.key} is NaN or infinite'
                    for entry, fine in zip(batch.entries, finite, strict=True)
                    if not fine
                )
        except GalleryDamagedError as error:
            yield str(error)

    def close(self) -> None:
        """Closes the connection."""
        self.client.close()


def _sorted(answers: list[GalleryAnswer]) -> list[GalleryAnswer]:
    return sorted(answers, key=lambda answer: (-answer.score, answer.entry.key))
