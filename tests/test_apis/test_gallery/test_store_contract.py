# Copyright (c) mmreid contributors. All rights reserved.
"""What holds for every place where galleries are kept: a file, and Milvus (here Milvus Lite)."""

import importlib.util
import json

import numpy as np
import pytest
from gallery_cases import add_once, count_and_search, passes, slow_search, some_facts, some_features, start
from tiny_data import write_image
from tiny_models import trained

from mmreid.apis import Gallery, GalleryFilter, ModelInfo, ReIDInferencer
from mmreid.apis.gallery import OtherModelError
from mmreid.apis.gallery.copying import copy_gallery
from mmreid.apis.gallery.milvus_expressions import expression_of

COUNT = 60
HAS_MILVUS = all(importlib.util.find_spec(name) for name in ('pymilvus', 'milvus_lite'))
PLACES = [
    'sqlite',
    pytest.param(
        'milvus',
        marks=pytest.mark.skipif(not HAS_MILVUS, reason='Milvus is not installed: pip install "mmreid[milvus]"'),
    ),
]
TEXTS = ['a"b', "a'b", 'a\\', '\\"', 'a] or key in [1', '%', '*', '{x}', 'é', '人', '1', 'None', ' ', '" or "" == "']


def place_of(kind, folder, name='a'):
    return folder / f'{name}.gallery' if kind == 'sqlite' else f'milvus-lite://{folder}/{name}.db'


@pytest.fixture(params=PLACES)
def place(request, tmp_path):
    return place_of(request.param, tmp_path)


@pytest.fixture
def gallery(place):
    with Gallery.open(place) as gallery:
        yield gallery


@pytest.fixture
def filled(gallery):
    gallery.add(features=some_features(COUNT), **some_facts(COUNT))
    return gallery


def by_place(gallery):
    """The entries in the order in which they were added."""
    return sorted(gallery, key=lambda entry: (entry.extra or {}).get('place', 0))


def filters_of(gallery):
    keys = [entry.key for entry in gallery][::5]
    return [
        GalleryFilter(), GalleryFilter(cameras=['c0', 'c2']), GalleryFilter(cameras='gone'),
        GalleryFilter(not_cameras='c1'), GalleryFilter(since=120), GalleryFilter(since=110, until=130.0),
        GalleryFilter(modality='infrared'), GalleryFilter(ids=['p1', 'p3', 'gone']), GalleryFilter(keys=[*keys, 999]),
        GalleryFilter(cameras=['c0', 'c1'], not_cameras='c0', until=150, modality='visible'),
    ]  # fmt: skip


@pytest.mark.parametrize('per_id', [None, 'best', 'mean'])
def test_answers_are_those_of_the_definition(gallery, per_id):
    facts = dict(some_facts(COUNT), extra=[dict(place=i) for i in range(COUNT)])
    features = np.random.default_rng(1).normal(size=(COUNT, 8)).astype(np.float32)  # all different
    gallery.add(features=features, **facts)
    entries, queries = by_place(gallery), some_features(4, seed=9)
    for chosen in filters_of(gallery):
        for cameras in (None, ['c0', None, 'c1', 'gone']):
            answers = gallery.search(queries, 9, chosen, query_cameras=cameras, per_id=per_id)
            for query, camera, found in zip(queries, cameras or [None] * 4, answers, strict=True):
                wanted = slow_search(entries, features, query, 9, chosen, camera, per_id)
                assert [(answer.entry.key, answer.count) for answer in found] == [(key, n) for _, key, n in wanted]
                np.testing.assert_allclose([answer.score for answer in found], [row[0] for row in wanted], atol=1e-5)


def test_facts_come_back(filled):
    wanted = some_facts(COUNT)
    known = sorted(map(repr, zip(*wanted.values(), strict=True)))
    found = [(entry.id, entry.camera, entry.time, entry.modality, entry.extra) for entry in filled]
    keys = [entry.key for entry in filled]
    assert len(filled) == COUNT and keys == sorted(set(keys)) and sorted(map(repr, found)) == known
    assert filled.get(keys[:3]) == {entry.key: entry for entry in list(filled)[:3]}
    assert filled.get([12345]) == {}


def test_entries_of_a_filter(filled):
    for chosen in filters_of(filled):
        assert list(filled.entries(chosen)) == [entry for entry in filled if passes(entry, chosen)]


def test_what_is_deleted_is_gone(filled):
    query = some_features(1)
    filled.search(query)
    for chosen in filters_of(filled)[1:]:
        before = list(filled)
        assert filled.delete(filter=chosen) == sum(passes(entry, chosen) for entry in before)
        kept = [entry for entry in before if not passes(entry, chosen)]
        assert list(filled) == kept and len(filled) == len(kept)
        assert {answer.entry.key for answer in filled.search(query, COUNT)[0]} == {entry.key for entry in kept}
        assert filled.delete(filter=chosen) == 0


def test_texts_are_texts(gallery):
    features = np.random.default_rng(2).normal(size=(len(TEXTS), 8))
    keys = gallery.add(features=features, ids=TEXTS, cameras=TEXTS, extra=[dict(text=text) for text in TEXTS])
    for key, text in zip(keys, TEXTS, strict=True):
        for chosen in (GalleryFilter(ids=text), GalleryFilter(cameras=text)):
            assert [(entry.key, entry.id, entry.extra['text']) for entry in gallery.entries(chosen)] == [
                (key, text, text)
            ]
        assert key not in {answer.entry.key for answer in gallery.search(features[:1], 99, query_cameras=text)[0]}
    assert gallery.delete(ids=TEXTS[0]) == 1


def test_an_empty_gallery(gallery):
    assert gallery.search(some_features(2)) == [[], []] and list(gallery) == [] and len(gallery) == 0
    assert gallery.check() == [] and gallery.info()['entries'] == 0 and gallery.delete(ids='x') == 0


def test_opened_again(place):
    with Gallery.open(place) as gallery:
        gallery.add(features=some_features(5), ids=range(5))
        before = list(gallery)
    with Gallery.open(place, create=False) as gallery:
        assert list(gallery) == before and gallery.facts.shape == (8,)
        with pytest.raises(ValueError, match=r'\(9,\)'):
            gallery.add(features=np.ones((1, 9)))
        assert gallery.info()['identities'] == 5 and gallery.check() == []


@pytest.mark.dist
@pytest.mark.slow
def test_opened_by_another_process(place):
    for function, wanted in ((add_once, 1), (count_and_search, (1, 1))):
        process, pipe = start(function, place)
        heard = pipe.recv()
        assert heard == wanted if function is count_and_search else len(heard) == wanted
        process.join()


def test_a_copy_onto_itself(filled, place):
    with pytest.raises(ValueError, match='another one'):
        copy_gallery(filled, place)
    assert len(filled) == COUNT


def test_a_missing_one(place):
    with pytest.raises(FileNotFoundError, match='create'):
        Gallery.open(place, create=False)


@pytest.fixture(scope='module')
def inferencer(tmp_path_factory):
    folder = tmp_path_factory.mktemp('model')
    trained('ImageReID', folder / 'a.pth')
    return ReIDInferencer(folder / 'a.pth', device='cpu')


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp('images')
    return [str(write_image(folder / f'{number}.png', number)) for number in range(5)]


def test_images_are_stored_once(place, images, inferencer):
    with Gallery.open(place, inferencer) as gallery:
        first = gallery.add(images[:3], ids='x')
        assert gallery.add(images[:3], ids='x') == first and len(gallery) == 3
        assert gallery.add([images[0], images[0], images[3]], ids=['x', 'x', 'y'])[:2] == [first[0]] * 2
        with pytest.raises(ValueError, match="'x'.*'z'"):
            gallery.add(images[:1], ids='z')
        assert gallery.search(images[1], 1)[0][0].entry.image == images[1] and len(gallery) == 4


def test_another_model_is_refused(place, images, inferencer):
    with Gallery.open(place, inferencer) as gallery:
        gallery.add(images)
    with pytest.raises(OtherModelError, match=rf'{inferencer.fingerprint}.*{"f" * 16}'):
        Gallery.open(place, ModelInfo('other.pth', 'f' * 16))
    with Gallery.open(place) as gallery, pytest.raises(OtherModelError, match=inferencer.fingerprint):
        gallery.search(np.ones((1, 32)))


@pytest.mark.skipif(not HAS_MILVUS, reason='Milvus is not installed: pip install "mmreid[milvus]"')
@pytest.mark.parametrize(('source', 'target'), [('sqlite', 'milvus'), ('milvus', 'sqlite')])
def test_copies(tmp_path, images, inferencer, source, target):
    with Gallery.open(place_of(source, tmp_path), inferencer) as gallery:
        gallery.add(images, ids=range(5), cameras='door', times=5.0, extra=dict(a=1))
        gallery.add(features=inferencer.extract(images[:2]), ids=['n', 'm'])
        assert copy_gallery(gallery, place_of(target, tmp_path, 'b'), step=3) == 7
        assert copy_gallery(gallery, place_of(target, tmp_path, 'b')) == 2  # those without an image
        wanted = gallery.search(images[3], 5)[0]
    with Gallery.open(place_of(target, tmp_path, 'b'), inferencer) as copied:
        assert len(copied) == 9 and copied.model.fingerprint == inferencer.fingerprint
        assert copied.add(images, ids=range(5), cameras='door', times=5.0, extra=dict(a=1)) and len(copied) == 9
        found = copied.search(images[3], 5, GalleryFilter(cameras='door'))[0]
        door = [answer for answer in wanted if answer.entry.camera]
        assert [a.entry.image for a in found[: len(door)]] == [a.entry.image for a in door]


@pytest.mark.skipif(not HAS_MILVUS, reason='Milvus is not installed: pip install "mmreid[milvus]"')
def test_what_milvus_refuses_is_explained(tmp_path):
    with Gallery.open(place_of('milvus', tmp_path)) as gallery:
        gallery.add(features=some_features(2))
        gallery.store.client.drop_collection('gallery_facts')
        with pytest.raises(OSError, match=r'a\.db'):
            gallery.store.settle(gallery.facts)


@pytest.mark.parametrize(
    'address', ['milvus://host', 'milvus://host:1/a b', 'http://host:1/x', 'milvus-lite://x', 'milvus://a@b:1/x', '://']
)
def test_addresses_that_are_none(address):
    with pytest.raises(ValueError, match='milvus://HOST:PORT/NAME'):
        Gallery.open(address)


def test_expressions_quote_texts():
    for text in TEXTS:
        expression = expression_of(GalleryFilter(ids=text), text)
        quoted = json.dumps(text, ensure_ascii=False)
        assert expression == f'(id in [{quoted}]) and (camera not in [{quoted}])'
