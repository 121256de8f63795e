# Copyright (c) mmreid contributors. All rights reserved.
"""Galleries of feature maps: pooled vectors choose a shortlist, the matcher of the model scores it."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tiny_data import write_image
from tiny_models import trained

from mmreid.apis import Gallery, GalleryFilter, ReIDInferencer
from mmreid.apis.gallery import feature_arrays, shortlist_search
from mmreid.evaluation.functional import PrefilteredScores

COUNT = 12


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('images')
    for number in range(COUNT):
        write_image(folder / f'{number:02d}.png', number)
    return folder


@pytest.fixture(scope='module')
def inferencer(tmp_path_factory):
    path = tmp_path_factory.mktemp('model') / 'maps.pth'
    trained('PairwiseReID', path)
    return ReIDInferencer(path, device='cpu')


@pytest.fixture
def gallery(tmp_path, folder, inferencer, monkeypatch):
    """Seven maps in the memory-mapped file, the others in memory."""
    monkeypatch.setattr(feature_arrays, 'MIN_NEW', 7)
    monkeypatch.setattr(feature_arrays, 'PART_NEW', 1.0)
    images = sorted(folder.iterdir())
    with Gallery.open(tmp_path / 'a.gallery', inferencer) as gallery:
        for part in (slice(0, 7), slice(7, COUNT)):
            places = range(COUNT)[part]
            gallery.add(images[part], ids=[i // 3 for i in places], cameras=[i % 2 for i in places])
            gallery.search(images[0], 1)
        yield gallery


@pytest.fixture(scope='module')
def maps(folder, inferencer):
    """Maps as the gallery keeps them, and the scores of all pairs."""
    maps = torch.from_numpy(inferencer.extract(folder)).half()
    with torch.no_grad():
        return maps, inferencer.model.matcher(maps, maps).numpy()


def test_maps_are_kept_in_half_precision(gallery, maps):
    arrays = gallery.store.engine.arrays
    assert isinstance(arrays.mapped, np.memmap) and len(arrays.mapped) == 7 and arrays.mapped.dtype == np.float16
    np.testing.assert_array_equal(np.concatenate([arrays.mapped, arrays.newest]), maps[0].numpy())
    assert gallery.info()['shape'] == (8, 4, 2) and gallery.check() == []


def test_a_long_shortlist_is_exact(gallery, maps, folder):
    found = gallery.search(folder, COUNT)
    for row, answers in enumerate(found):
        order = (-maps[1][row]).argsort(kind='stable')
        np.testing.assert_allclose([answer.score for answer in answers], maps[1][row][order], atol=1e-4)
        assert [answer.entry.key - 1 for answer in answers][:1] == order.tolist()[:1]


def test_a_short_one_is_that_of_the_evaluation(gallery, maps, folder, inferencer, monkeypatch):
    monkeypatch.setattr(shortlist_search, 'SHORTLIST', 4)
    wanted = PrefilteredScores(maps[0].float(), maps[0].float(), inferencer.model.matcher, 4).rows(slice(0, COUNT))
    found = gallery.search(folder, 3)
    for row, answers in enumerate(found):
        values, order = wanted[row].sort(descending=True, stable=True)
        assert [answer.entry.key - 1 for answer in answers] == order[:3].tolist()
        np.testing.assert_allclose([answer.score for answer in answers], values[:3], atol=1e-3)


def test_filters_hold_for_the_shortlist(gallery, folder, monkeypatch):
    monkeypatch.setattr(shortlist_search, 'SHORTLIST', 2)
    query = folder / '04.png'
    assert {answer.entry.camera for answer in gallery.search(query, 6, GalleryFilter(cameras=1))[0]} == {'1'}
    others = gallery.search(query, 6, query_cameras='0')[0]
    assert len(others) == 6 and {answer.entry.camera for answer in others} == {'1'}
    assert gallery.search(query, 6, GalleryFilter(cameras='gone'))[0] == []


@pytest.mark.parametrize('mean', [False, True])
def test_identities(gallery, maps, folder, mean, monkeypatch):
    found = gallery.search(folder / '04.png', 9, GalleryFilter(cameras=0), per_id='mean' if mean else 'best')[0]
    members = [[i for i in range(3 * person, 3 * person + 3) if i % 2 == 0] for person in range(4)]
    scores = [np.mean(maps[1][4][own]) if mean else np.max(maps[1][4][own]) for own in members]
    order = np.argsort(-np.array(scores)).tolist()
    assert [(answer.entry.id, answer.count) for answer in found] == [(str(i), len(members[i])) for i in order]
    np.testing.assert_allclose([answer.score for answer in found], np.array(scores)[order], atol=1e-3)
    monkeypatch.setattr(shortlist_search, 'SHORTLIST', 1)
    pooled = F.normalize(maps[0].float().flatten(2).mean(2))
    first = int((pooled[4] @ pooled.T).argmax()) // 3
    assert gallery.search(folder / '04.png', 1, per_id='best')[0][0].entry.id == str(first)


def test_without_the_model(gallery, maps, tmp_path):
    with Gallery.open(tmp_path / 'a.gallery') as other:
        assert len(list(other)) == COUNT
        with pytest.raises(ValueError, match='maps.pth'):
            other.search(maps[0].numpy())
        assert other.delete(ids=[1, 2]) == 6
    assert {answer.entry.id for answer in gallery.search(maps[0].numpy()[:1], 99)[0]} == {'0', '3'}


def test_what_is_no_map(gallery):
    for features in (np.ones((2, 8)), np.ones((2, 8, 4, 3))):
        with pytest.raises(ValueError, match=str(features.shape[-1])):
            gallery.search(features)
    with pytest.raises(ValueError, match=r'a\.gallery.*maps'):
        gallery.build_index('hnsw')
