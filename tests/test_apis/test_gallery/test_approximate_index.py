# Copyright (c) mmreid contributors. All rights reserved.
"""Indexes of faiss: measured recall, entries behind them, filters, and files that are not trusted."""

import json
import sys

import numpy as np
import pytest
import torch

from mmreid.apis import Gallery, GalleryFilter
from mmreid.apis.gallery import approximate_index, embedded_search
from mmreid.apis.gallery.approximate_index import kind_for
from mmreid.models.matchers.base import FunctionMatcher

pytest.importorskip('faiss', reason='faiss is not installed: pip install "mmreid[gallery]"')
DIMS = 16


def people(count, seed=0):
    """Features of people, ten of each."""
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(count // 10, DIMS))
    return (np.repeat(centers, 10, 0) + 0.3 * rng.normal(size=(count, DIMS))).astype(np.float32)


@pytest.fixture
def gallery(tmp_path):
    with Gallery.open(tmp_path / 'a.gallery') as gallery:
        gallery.add(features=people(600), cameras=[i % 4 for i in range(600)], ids=[i // 10 for i in range(600)])
        yield gallery


def answers(gallery, queries, *args, **options):
    rows = gallery.search(queries, *args, **options)
    return [[(answer.entry.key, round(answer.score, 5)) for answer in row] for row in rows]


@pytest.mark.parametrize('kind', ['hnsw', 'ivf'])
def test_answers_of_an_index(gallery, kind, monkeypatch):
    monkeypatch.setattr(embedded_search, 'LEAST_PART', 0.02)
    queries = people(600, seed=0)[::40] + 0.01
    ways = [
        {},
        dict(query_cameras='2'),
        dict(query_cameras=['0', '1', '2'] * 5),
        dict(filter=GalleryFilter(cameras='3')),
    ]
    ways += [dict(filter=GalleryFilter(cameras=['0', '1']), query_cameras='1')]
    exact = [answers(gallery, queries, 5, **options) for options in ways]
    facts = gallery.build_index(kind)
    assert facts.kind == kind and facts.count == 600 and facts.recall_at_10 >= 0.95 and facts.queries == 150
    for options, wanted in zip(ways, exact, strict=True):
        found = answers(gallery, queries, 5, **options)
        keys = [[{key for key, _ in row} for row in rows] for rows in (found, wanted)]
        assert np.mean([len(row & other) / 5 for row, other in zip(*keys, strict=True)]) > 0.9
        assert all(row == sorted(row, key=lambda answer: -answer[1]) and len(row) == 5 for row in found)


def test_entries_behind_the_index_are_found(gallery):
    gallery.build_index('hnsw')
    late = people(20, seed=5)
    keys = gallery.add(features=late)
    assert [row[0][0] for row in answers(gallery, late, 3)] == keys
    assert gallery.info()['index']['count'] == 600


def test_an_index_is_read_again(gallery, tmp_path):
    gallery.build_index('hnsw')
    queries = people(600)[:5]
    with Gallery.open(tmp_path / 'a.gallery') as other:
        assert answers(other, queries) == answers(gallery, queries)
        assert other.store.engine.index.facts.kind == 'hnsw'


@pytest.mark.parametrize(
    ('name', 'damage'),
    [
        ('index.faiss', lambda content: content[:-10]),
        ('index.faiss', lambda content: content[:500] + bytes([content[500] ^ 1]) + content[501:]),
        ('index.faiss', lambda content: b''),
        ('index.json', lambda content: b'{'),
        ('index.json', lambda content: b'[]'),
        ('index.json', lambda content: content.replace(b'"count": 600', b'"count": 599')),
        ('index.json', lambda content: content.replace(b'"count": 600', b'"count": 600.0')),
        ('index.json', lambda content: content.replace(b'"effort": ', b'"effort": -')),
        ('index.json', lambda content: content.replace(b'"effort": ', b'"effort": "x", "other": ')),
        ('index.json', lambda content: content.replace(b'hnsw', b'else')),
    ],
)
def test_a_damaged_index_is_not_used(gallery, tmp_path, name, damage):
    gallery.build_index('hnsw')
    path = tmp_path / 'a.gallery.cache' / name
    path.write_bytes(damage(path.read_bytes()))
    with Gallery.open(tmp_path / 'a.gallery') as other:
        assert [row[0][0] for row in answers(other, people(600)[:5], 1)] == [1, 2, 3, 4, 5]
        assert other.store.engine.index is None


def test_deleting_removes_the_index(gallery, tmp_path):
    gallery.build_index('ivf')
    gallery.delete(ids=3)
    assert not list(tmp_path.glob('a.gallery.cache/index*'))
    found = {key for row in answers(gallery, people(600), 10) for key, _ in row}
    assert not found & set(range(31, 41)) and gallery.info()['index'] is None


def test_none_and_auto(gallery, monkeypatch):
    assert [kind_for(count) for count in (100, 60_000, 1_000_000)] == [None, 'hnsw', 'ivf']
    assert gallery.build_index() is None
    monkeypatch.setattr(approximate_index, 'EXACT_UP_TO', 100)
    assert gallery.build_index('auto').kind == 'hnsw'
    assert gallery.build_index(None) is None and gallery.info()['index'] is None
    with pytest.raises(ValueError, match="'flat'"):
        gallery.build_index('flat')


def test_other_comparisons_have_no_index(gallery):
    gallery.store.compare_by(FunctionMatcher(lambda query, entries: query @ entries.T), torch.device('cpu'))
    with pytest.raises(ValueError, match='FunctionMatcher'):
        gallery.build_index('hnsw')
    assert gallery.info()['index'] is None


def test_without_faiss(gallery, monkeypatch, tmp_path):
    gallery.build_index('hnsw')
    monkeypatch.setitem(sys.modules, 'faiss', None)
    with pytest.raises(ImportError, match=r'faiss.*mmreid\[gallery\]'):
        gallery.build_index('hnsw')
    with Gallery.open(tmp_path / 'a.gallery') as other:
        assert [row[0][0] for row in answers(other, people(600)[:5], 1)] == [1, 2, 3, 4, 5]


def test_facts_are_plain_json(gallery, tmp_path):
    facts = gallery.build_index('ivf')
    assert json.loads((tmp_path / 'a.gallery.cache/index.json').read_text()) == vars(facts)
    assert gallery.info()['index'] == vars(facts)
