# Copyright (c) mmreid contributors. All rights reserved.
"""Approximate search of vectors by faiss, with the recall that was measured when the index was built."""

import hashlib
import json
import time
import zlib
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from mmreid.models.matchers import CosineMatcher, EuclideanMatcher
from mmreid.utils.atomic_io import atomic_write
from mmreid.utils.json_text import is_number, parse_json
from mmreid.utils.optional_package import require

from .columns import Columns
from .entry_search import Allowed
from .exact_search import ExactSearch

KINDS = ('hnsw', 'ivf')
#: Up to so many entries exact search answers in milliseconds; above the second number a graph takes too long to build.
EXACT_UP_TO, HNSW_UP_TO = 50_000, 500_000
TARGET = 0.99  # recall@10; the effort of a search is doubled until this is reached
MAX_DOUBLINGS = 5
SAMPLE = 200  # entries that recall is measured with
LINKS, BUILD_EFFORT = 16, 200  # of an entry in the graph; of finding them
POINTS = 64  # vectors of a list to train it with


@dataclass(frozen=True)
class IndexFacts:
    """What is known about an index.

    Attributes:
        kind (str): ``'hnsw'`` or ``'ivf'``.
        count (int): Entries that it holds, the first of the gallery; later ones are searched exactly.
        effort (int): ``efSearch`` or ``nprobe``.
        recall_at_1 (float): Part of the queries, the newest entries, whose best entry was found.
        recall_at_10 (float): Part of the ten best entries that were found.
        queries (int): How many there were.
        seconds (float): How long building and measuring took.
        content (str): Hash of the entries.
        crc (int): Checksum of the file.
    """

    kind: str
    count: int
    effort: int
    recall_at_1: float
    recall_at_10: float
    queries: int
    seconds: float
    content: str
    crc: int


def kind_for(count: int) -> str | None:
    """Chooses the kind of an index by the number of entries; None for none."""
    return None if count <= EXACT_UP_TO else 'hnsw' if count <= HNSW_UP_TO else 'ivf'


class ApproximateIndex:
    """An index of the first entries of a gallery.

    Args:
        index (Any): What faiss has built.
        facts (IndexFacts): What is known about it.
    """

    def __init__(self, index: Any, facts: IndexFacts) -> None:
        self.index, self.facts = index, facts

    def find(self, query: np.ndarray, count: int, chosen: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Finds about the best entries of each query (Q, D).

        Args:
            query (np.ndarray): Shape (Q, D), float32.
            count (int): How many to find.
            chosen (np.ndarray, optional): Entries that may be found, shape (N,), bool. Defaults to None, all.

        Returns:
            tuple[np.ndarray, np.ndarray]: Their places (Q, count), int64, -1 for none; and their scores as the matcher
            gives them: cosines, or negative squared distances; NaN for none.
        """
        return _find(self.index, self.facts.kind, query, count, self.facts.effort, chosen)


def build_index(vectors: np.ndarray, columns: Columns, kind: str, exact: ExactSearch, folder: Path) -> ApproximateIndex:
    """Builds an index, measures its recall, and writes it.

    Args:
        vectors (np.ndarray): Shape (N, D), float32; of length 1 for the cosine.
        columns (Columns): The entries.
        kind (str): ``'hnsw'`` or ``'ivf'``.
        exact (ExactSearch): Exact search of the same vectors, by the cosine or the Euclidean distance.
        folder (Path): Where to write.

    Returns:
        ApproximateIndex: The index.

    Raises:
        ValueError: If features are compared in another way.
    """
    if not isinstance(exact.matcher, (CosineMatcher, EuclideanMatcher)):
        raise ValueError(f'there is no index for {type(exact.matcher).__name__}, only for cosines and distances')
    faiss = require_faiss()
    start = time.monotonic()
    metric = faiss.METRIC_INNER_PRODUCT if isinstance(exact.matcher, CosineMatcher) else faiss.METRIC_L2
    count, dims = vectors.shape
    if kind == 'hnsw':
        index = faiss.IndexHNSWFlat(dims, LINKS, metric)
        index.hnsw.efConstruction = BUILD_EFFORT
        effort = 64
    else:
        lists = max(1, min(round(2 * count**0.5), count // 40))
        index = faiss.index_factory(dims, f'IVF{lists},Flat', metric)
        index.cp.seed, index.cp.max_points_per_centroid = 0, POINTS
        index.train(np.ascontiguousarray(vectors))
        effort = 8
    # The newest entries stand for queries to come: recall is measured before they are in the index.
    inside = count - min(SAMPLE, count // 4)
    _add(index, vectors[:inside])
    sample = np.ascontiguousarray(vectors[inside:] if inside < count else vectors)
    wanted = exact.best(sample, 10, Allowed(np.arange(count) < inside))[0].numpy()
    for doubling in range(MAX_DOUBLINGS + 1):
        found = _find(index, kind, sample, 10, effort << doubling)[0]
        recalls = _recall(found, wanted, 1), _recall(found, wanted, 10)
        if recalls[1] >= TARGET:
            break
    _add(index, vectors[inside:])
    seconds = time.monotonic() - start
    folder.mkdir(exist_ok=True)
    path = folder / 'index.faiss'
    atomic_write(path, lambda file: file.write(faiss.serialize_index(index).data))
    content = content_hash(columns, count)
    facts = IndexFacts(kind, count, effort << doubling, *recalls, len(sample), round(seconds, 2), content, crc_of(path))
    atomic_write(folder / 'index.json', json.dumps(asdict(facts), indent=1) + '\n')
    return ApproximateIndex(index, facts)


def open_index(folder: Path, columns: Columns) -> ApproximateIndex | None:
    """Reads the index of these entries; None if there is none, or it is stale or damaged, or faiss is missing."""
    facts = read_facts(folder)
    if facts is None or facts.count > len(columns) or facts.content != content_hash(columns, facts.count):
        return None
    with suppress(ImportError, OSError, RuntimeError):
        if crc_of(folder / 'index.faiss') == facts.crc:
            return ApproximateIndex(require_faiss().read_index(str(folder / 'index.faiss')), facts)
    return None


def read_facts(folder: Path) -> IndexFacts | None:
    """Reads what is known about an index; None if that cannot be read."""
    try:
        content = parse_json((folder / 'index.json').read_text(encoding='utf-8'))
        facts = IndexFacts(**content)
    except (OSError, ValueError, TypeError):
        return None
    counts = facts.count, facts.effort, facts.queries, facts.crc
    numbers = facts.recall_at_1, facts.recall_at_10, facts.seconds
    is_plain = all(type(value) is int and value >= 0 for value in counts) and all(map(is_number, numbers))
    return facts if facts.kind in KINDS and is_plain and facts.effort else None


def content_hash(columns: Columns, count: int) -> str:
    """Returns what tells the first entries from all others: their keys and the checksums of their features."""
    return hashlib.sha256(columns.keys[:count].tobytes() + columns.crcs[:count].tobytes()).hexdigest()


def crc_of(path: Path) -> int:
    """Computes the CRC-32 of a file."""
    crc = 0
    with open(path, 'rb') as file:
        while block := file.read(2**20):
            crc = zlib.crc32(block, crc)
    return crc


def require_faiss() -> ModuleType:
    """Imports faiss, or says how to install it."""
    return require('faiss', 'an approximate index', 'gallery')


def _add(index: Any, vectors: np.ndarray) -> None:
    for first in range(0, len(vectors), 65_536):
        index.add(np.ascontiguousarray(vectors[first : first + 65_536]))


def _find(
    index: Any, kind: str, query: np.ndarray, count: int, effort: int, chosen: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    faiss = require_faiss()
    options: dict[str, Any] = dict(efSearch=max(effort, count)) if kind == 'hnsw' else dict(nprobe=effort)
    if chosen is not None:
        bits = np.packbits(chosen, bitorder='little')
        options['sel'] = faiss.IDSelectorBitmap(bits)
    parameters = (faiss.SearchParametersHNSW if kind == 'hnsw' else faiss.SearchParametersIVF)(**options)
    scores, places = index.search(query, count, params=parameters)
    if index.metric_type == faiss.METRIC_L2:
        scores = -scores
    return places, np.where(places < 0, np.nan, scores)


def _recall(found: np.ndarray, wanted: np.ndarray, count: int) -> float:
    """Returns which part of the wanted places (Q, K) is among the first ``count`` that were found, where they exist."""
    hits = (wanted[:, :count, None] == found[:, None, :count]).any(2) & (wanted[:, :count] >= 0)
    return float(hits.sum() / max(1, (wanted[:, :count] >= 0).sum()))
