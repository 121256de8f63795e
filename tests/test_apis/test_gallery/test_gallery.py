# Copyright (c) mmreid contributors. All rights reserved.
"""Galleries: what is added is found, as the slow definition says; filters, identities, deletion."""

from datetime import datetime, timezone

import numpy as np
import pytest
from gallery_cases import passes, slow_search, some_facts, some_features

from mmreid.apis import Gallery, GalleryFilter
from mmreid.apis.gallery import exact_search, feature_arrays

COUNT = 60
FILTERS = dict(
    all=GalleryFilter(),
    cameras=GalleryFilter(cameras=['c0', 'c2']),
    one_camera=GalleryFilter(cameras='c1'),
    no_such_camera=GalleryFilter(cameras='gone'),
    not_cameras=GalleryFilter(not_cameras='c1'),
    since=GalleryFilter(since=120),
    window=GalleryFilter(since=110, until=130.0),
    modality=GalleryFilter(modality='infrared'),
    ids=GalleryFilter(ids=['p1', 'p3', 'gone']),
    keys=GalleryFilter(keys=[2, 3, 5, 999]),
    mixed=GalleryFilter(cameras=['c0', 'c1'], until=150, modality='visible'),
)


@pytest.fixture
def gallery(tmp_path):
    with Gallery.open(tmp_path / 'people.gallery') as gallery:
        yield gallery


@pytest.fixture
def filled(gallery):
    gallery.add(features=some_features(COUNT), **some_facts(COUNT))
    return gallery


@pytest.fixture(params=['all at once', 'in tiles', 'in a file and in memory'])
def ways(request, monkeypatch):
    """Sizes that make small galleries take the ways of large ones."""
    if request.param == 'in tiles':
        monkeypatch.setattr(exact_search, 'MAX_TILE', 7)
        monkeypatch.setattr(exact_search, 'IDENTITY_SCORES', 50)
    if request.param == 'in a file and in memory':
        monkeypatch.setattr(feature_arrays, 'MIN_NEW', 20)
        monkeypatch.setattr(feature_arrays, 'PART_NEW', 1.0)
    return request.param


def assert_as_defined(gallery, features, queries, chosen, per_id):
    entries = list(gallery)
    for cameras in (None, ['c0', None, 'c1', 'gone', 'c2']):
        answers = gallery.search(queries, 9, chosen, query_cameras=cameras, per_id=per_id)
        for query, camera, found in zip(queries, cameras or [None] * 5, answers, strict=True):
            wanted = slow_search(entries, features, query, 9, chosen, camera, per_id)
            assert [(answer.entry.key, answer.count) for answer in found] == [(key, n) for _, key, n in wanted]
            np.testing.assert_allclose([answer.score for answer in found], [row[0] for row in wanted], atol=1e-5)
            assert all(passes(answer.entry, chosen) for answer in found)


@pytest.mark.parametrize('per_id', [None, 'best', 'mean'])
def test_answers_are_those_of_the_definition(gallery, ways, per_id):
    features, facts = some_features(COUNT), some_facts(COUNT)
    for part in (slice(0, 25), slice(25, 40), slice(40, COUNT)):
        gallery.add(features=features[part], **{name: values[part] for name, values in facts.items()})
        gallery.search(features[:1])
    for chosen in FILTERS.values():
        assert_as_defined(gallery, features, some_features(5, seed=9), chosen, per_id)


def test_one_value_may_hold_for_all(gallery):
    moment = datetime(2026, 1, 2, tzinfo=timezone.utc)
    gallery.add(features=some_features(3), ids=7, cameras='door', times=moment, modality='visible', extra={'a': [1]})
    assert {(e.id, e.camera, e.time, e.modality, str(e.extra)) for e in gallery} == {
        ('7', 'door', moment.timestamp(), 'visible', "{'a': [1]}")
    }


@pytest.mark.parametrize(
    ('chosen', 'left'),
    [
        (dict(ids='p1'), lambda entry: entry.id != 'p1'),
        (dict(ids=['p1', 'p2']), lambda entry: entry.id not in ('p1', 'p2')),
        (dict(keys=[1, 2]), lambda entry: entry.key not in (1, 2)),
        (dict(keys=1), lambda entry: entry.key != 1),
        (dict(filter=GalleryFilter(until=130)), lambda entry: entry.time is None or entry.time >= 130),
    ],
)
def test_what_is_deleted_is_gone(filled, chosen, left):
    before, query = list(filled), some_features(1)
    filled.search(query)
    assert filled.delete(**chosen) == sum(not left(entry) for entry in before) > 0
    kept = [entry for entry in before if left(entry)]
    assert list(filled) == kept and len(filled) == len(kept)
    found = {answer.entry.key for answer in filled.search(query, COUNT)[0]}
    assert found == {entry.key for entry in kept}
    assert filled.delete(**chosen) == 0


def test_keys_are_never_used_again(gallery):
    first = gallery.add(features=some_features(4))
    gallery.delete(keys=first)
    assert not gallery.search(some_features(1))[0]
    assert min(gallery.add(features=some_features(4))) > max(first)


def test_vectors_of_the_deleted_are_in_no_file(gallery, tmp_path, monkeypatch):
    monkeypatch.setattr(feature_arrays, 'MIN_NEW', 2)
    features = some_features(50)
    gallery.add(features=features, ids=range(50))
    gallery.search(features[:1])
    content = (features[12] / np.linalg.norm(features[12])).astype(np.float32).tobytes()[:16]

    def holders():
        return [path.name for path in tmp_path.rglob('*') if path.is_file() and content in path.read_bytes()]

    assert 'vectors' in holders()
    gallery.delete(ids=12)
    gallery.search(features[:1])
    assert holders() == []


@pytest.mark.parametrize('chosen', [{}, dict(filter=GalleryFilter()), dict(ids='a', keys=[1])])
def test_deleting_needs_one_choice(filled, chosen):
    with pytest.raises(ValueError, match='ids, keys and filter'):
        filled.delete(**chosen)
    assert len(filled) == COUNT


@pytest.mark.parametrize(
    ('wrong', 'named'),
    [
        (dict(ids=['a']), '1 values for 3'), (dict(cameras='a\nb'), r"camera='a\\nb'"), (dict(times='noon'), 'noon'),
        (dict(times=float('nan')), 'time=nan'), (dict(modality='thermal'), 'thermal'),
        (dict(extra=[1, 2, 3]), 'extra=1'),
        (dict(ids=1.5), 'id=1.5'), (dict(ids='x' * 1001), 'id='), (dict(extra=dict(a=float('nan'))), 'extra='),
    ],
)  # fmt: skip
def test_values_that_are_not_possible(gallery, wrong, named):
    with pytest.raises(ValueError, match=named):
        gallery.add(features=some_features(3), **wrong)
    assert len(gallery) == 0


@pytest.mark.parametrize(
    ('features', 'named'),
    [
        (np.ones((3, 9)), r'\(9,\)'), (np.ones((2, 3, 4)), r'\(2, 3, 4\)'), (np.ones((3, 8), int), 'int64'),
        (np.full((3, 8), np.nan), 'NaN'), (np.full((3, 8), 1e30), 'too large'), (np.ones((0, 8)), r'\(0, 8\)'),
    ],
)  # fmt: skip
def test_features_that_do_not_fit(filled, features, named):
    with pytest.raises(ValueError, match=named):
        filled.add(features=features)
    if features.dtype != int:
        with pytest.raises(ValueError, match=named):
            filled.search(features)
    assert len(filled) == COUNT


@pytest.mark.parametrize(
    ('options', 'named'),
    [
        (dict(topk=0), 'topk=0'), (dict(topk=True), 'topk=True'), (dict(per_id='median'), 'median'),
        (dict(query_cameras=['a', 'b']), '2 values for 1'), (dict(query_cameras=1.5), '1.5'),
        (dict(query_cameras={'a'}), "{'a'}"),
    ],
)  # fmt: skip
def test_searches_that_make_no_sense(filled, options, named):
    with pytest.raises(ValueError, match=named):
        filled.search(some_features(1), **options)


@pytest.mark.parametrize(
    ('wrong', 'named'),
    [
        (dict(since=5, until=5), 'since=5'), (dict(modality='x'), "'x'"), (dict(keys=['a']), "'a'"),
        (dict(cameras=[None]), 'None'), (dict(ids=1.5), '1.5'), (dict(until='noon'), 'noon'),
    ],
)  # fmt: skip
def test_filters_that_make_no_sense(wrong, named):
    with pytest.raises(ValueError, match=named):
        GalleryFilter(**wrong)


@pytest.mark.parametrize('chosen', [None, 'door'])
def test_a_filter_that_is_none(filled, chosen):
    with pytest.raises(TypeError, match=f'{chosen!r}.*GalleryFilter'):
        filled.search(some_features(1), 3, chosen)


def test_an_empty_gallery_can_be_searched_and_learns_nothing_of_it(gallery):
    assert gallery.search(np.ones((2, 5))) == [[], []] and gallery.facts.shape is None
    assert gallery.add(features=some_features(3)) == [1, 2, 3]


def test_a_size_that_another_process_has_decided(gallery, tmp_path):
    with Gallery.open(tmp_path / 'people.gallery') as other:
        other.add(features=some_features(3))
    with pytest.raises(ValueError, match=r'\(5,\).*\(8,\)'):
        gallery.search(np.ones((1, 5)))
    assert len(gallery.search(some_features(1), np.int64(2))[0]) == 2


def test_numbers_of_numpy(gallery):
    keys = gallery.add(features=some_features(3), ids=np.array([4, 5, 6]), cameras=np.int64(7), times=np.float32(2))
    for chosen in (dict(keys=np.array(keys[:2])), dict(ids=np.array([4, 5])), dict(ids=np.array(['4', '5']))):
        found = [(entry.id, entry.camera, entry.time) for entry in gallery.entries(GalleryFilter(**chosen))]
        assert found == [('4', '7', 2), ('5', '7', 2)]
    assert gallery.delete(keys=np.array(keys)) == 3


@pytest.mark.parametrize(
    'facts',
    [
        dict(ids={'a', 'b', 'c'}), dict(ids=object()), dict(ids='\ud800'), dict(extra={'a': '\ud800'}),
        dict(extra={'a': 10**5000}), dict(times=datetime(1, 1, 1)), dict(times=np.datetime64('2026-01-01')),
    ],
)  # fmt: skip
def test_facts_that_make_no_sense(gallery, facts):
    with pytest.raises(ValueError, match=next(iter(facts)).removesuffix('s')):
        gallery.add(features=some_features(3), **facts)
    assert len(gallery) == 0


def test_options_without_a_model_to_load(tmp_path):
    with pytest.raises(TypeError, match='wiat'):
        Gallery.open(tmp_path / 'other.gallery', wiat=3)
    assert list(tmp_path.iterdir()) == []


def test_info_sums_up(filled):
    info = filled.info()
    assert info['entries'] == COUNT and info['identities'] == 6 and info['shape'] == (8,) and info['model'] is None
    assert sum(info['cameras'].values()) == sum(entry.camera is not None for entry in filled)
    assert (info['first_time'], info['last_time']) == (100, 100 + COUNT - 1)
    assert filled.check() == []
