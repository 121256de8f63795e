# Copyright (c) mmreid contributors. All rights reserved.
"""Galleries with a model: images in, answers out, and nothing of another model."""

import copy

import numpy as np
import pytest
import torch
from tiny_data import write_image
from tiny_models import tiny_model_config, trained

from mmreid.apis import Gallery, GalleryFilter, ModelInfo, ReIDInferencer
from mmreid.apis.gallery import OtherModelError
from mmreid.datasets import CorruptImageError
from mmreid.structures.inference_contract import META_KEY


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Seven images in two folders."""
    folder = tmp_path_factory.mktemp('images')
    for number in range(7):
        write_image(folder / f'{"ab"[number % 2]}/{number}.png', number)
    return folder


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp('model') / 'first.pth'
    trained('ImageReID', path)
    return path


@pytest.fixture(scope='module')
def inferencer(weights):
    return ReIDInferencer(weights, device='cpu', batch_size=3)


@pytest.fixture
def place(tmp_path):
    return tmp_path / 'a.gallery'


def test_answers_are_those_of_the_inferencer(place, folder, inferencer):
    with Gallery.open(place, inferencer) as gallery:
        keys = gallery.add(folder, cameras='door')
        names = [entry.image for entry in gallery]
        wanted = inferencer.search(folder / 'a', folder, 5)
        found = gallery.search(folder / 'a', 5)
    assert keys == list(range(1, 8)) and names == wanted.gallery_names
    assert [[answer.entry.image for answer in row] for row in found] == wanted.names
    np.testing.assert_allclose([[answer.score for answer in row] for row in found], wanted.scores, atol=1e-5)


def test_the_same_files_are_added_once(place, folder, inferencer):
    with Gallery.open(place, inferencer) as gallery:
        first = gallery.add(folder / 'a', ids='x')
        assert gallery.add(folder / 'a', ids='x') == first
        assert len(gallery.add(folder / 'b')) == 3 and len(gallery) == 7
        with pytest.raises(ValueError, match=r"0\.png.* 1 \(.*0\.png\).*'x'.*'y'"):
            gallery.add(folder / 'a', ids='y')
        assert gallery.add([folder / 'a/0.png', folder / 'a/0.png'], ids='x') == [first[0]] * 2


def test_an_interrupted_call_goes_on(place, folder, inferencer, tmp_path):
    images = [folder / 'a/0.png', folder / 'b/1.png', folder / 'a/2.png', tmp_path / 'broken.png', folder / 'b/3.png']
    images[3].write_bytes(b'no image')
    with Gallery.open(place, inferencer) as gallery:
        with pytest.raises(CorruptImageError, match='broken.png'):
            gallery.add(images)
        assert len(gallery) == 3
        assert gallery.add(images, on_error='skip') == [1, 2, 3, None, 4]
        with pytest.raises(ValueError, match="'maybe'"):
            gallery.add(images, on_error='maybe')


def test_images_without_files(place, inferencer):
    arrays = np.random.default_rng(0).integers(0, 256, (4, 64, 32, 3), np.uint8)
    with Gallery.open(place, inferencer) as gallery:
        keys = gallery.add(arrays, channel_order='rgb', ids=['a', 'b', 'c', 'd'])
        assert gallery.add(arrays[:2], channel_order='rgb', ids=['a', 'b']) == keys[:2]
        found = gallery.search(arrays[..., ::-1], 1, channel_order='bgr')
        assert [row[0].entry.id for row in found] == ['a', 'b', 'c', 'd']


def test_features_extracted_before(place, folder, inferencer):
    info = ModelInfo.of(inferencer)
    features, names = inferencer.extract(folder, return_names=True)
    with Gallery.open(place, ModelInfo(info.name, info.fingerprint)) as gallery:
        gallery.add(names, features)
    with Gallery.open(place, inferencer) as gallery:
        assert gallery.search(names[3], 1)[0][0].entry.image == names[3]
        assert gallery.add(names, features) == list(range(1, 8)) == gallery.add(folder)
        with pytest.raises(ValueError, match='6 images for 7 features'):
            gallery.add(names[1:], features)


def test_the_model_says_how_long_features_are(place, folder, inferencer):
    with Gallery.open(place, inferencer) as gallery:
        for use in (gallery.search, lambda features: gallery.add(features=features)):
            with pytest.raises(ValueError, match=r'\(9,\).*\(32,\)'):
                use(np.ones((1, 9)))
        assert len(gallery.add(folder)) == 7


def test_another_model_is_refused(place, folder, inferencer, weights):
    with Gallery.open(place, inferencer) as gallery:
        gallery.add(folder)
    flipped = ModelInfo.of(ReIDInferencer(weights, flip_test=True, device='cpu'))
    for model in (ModelInfo('second.pth', 'f' * 16), flipped):
        with pytest.raises(OtherModelError) as refused:
            Gallery.open(place, model)
        told = str(refused.value)
        assert f'first.pth ({inferencer.fingerprint})' in told and f'{model.name} ({model.fingerprint})' in told


def test_other_preprocessing_is_refused(place, folder, inferencer, weights, tmp_path):
    with Gallery.open(place, inferencer) as gallery:
        gallery.add(folder)
    cfg = tiny_model_config('ImageReID')
    cfg.test_dataloader.dataset.pipeline[1].scale = (30, 64)
    with pytest.raises(OtherModelError, match=r'\(64, 32\).*\(64, 30\)'):
        Gallery.open(place, ReIDInferencer(cfg, weights, device='cpu'))


def test_other_features_of_the_same_weights_are_refused(place, folder, inferencer, weights):
    """The embedding before the batch norm instead of the one after it."""
    with Gallery.open(place, inferencer) as gallery:
        gallery.add(folder)
    other = ReIDInferencer(tiny_model_config('ImageReID', test_feat='before'), weights, device='cpu')
    assert other.fingerprint == inferencer.fingerprint
    with pytest.raises(OtherModelError, match='the model config .*before'):
        Gallery.open(place, other)
    with Gallery.open(place, ReIDInferencer(tiny_model_config('ImageReID'), weights, device='cpu')) as gallery:
        assert len(list(gallery)) == 7


def test_without_a_model(place, folder, inferencer):
    with Gallery.open(place, inferencer) as gallery:
        gallery.add(folder, ids='x')
        features = inferencer.extract(folder)
    with Gallery.open(place) as gallery:
        assert gallery.model == ModelInfo.of(inferencer) and len(list(gallery)) == 7
        for use in (lambda: gallery.search(features), lambda: gallery.add(features=features)):
            with pytest.raises(OtherModelError, match=inferencer.fingerprint):
                use()
        for use in (lambda: gallery.search(folder), lambda: gallery.add(folder)):
            with pytest.raises(ValueError, match=inferencer.fingerprint):
                use()
        assert gallery.delete(filter=GalleryFilter(keys=[1, 2])) == 2


def test_a_gallery_of_an_unknown_model_stays_one(place, folder, inferencer):
    with Gallery.open(place) as gallery:
        gallery.add(features=np.ones((1, 32)))
        with pytest.raises(ValueError, match='a model'):
            gallery.add(folder)
        with pytest.raises(ValueError, match='nothing to add'):
            gallery.add()
    with pytest.raises(OtherModelError, match=inferencer.fingerprint):
        Gallery.open(place, inferencer)


def test_an_empty_gallery_takes_the_first_model(place, inferencer):
    Gallery.open(place).close()
    with Gallery.open(place, inferencer) as gallery:
        assert gallery.model.fingerprint == inferencer.fingerprint


def test_negative_distances_of_raw_features(place, folder, tmp_path):
    trained('ImageReID', tmp_path / 'e.pth', matcher=dict(type='EuclideanMatcher'))
    inferencer = ReIDInferencer(tmp_path / 'e.pth', device='cpu')
    wanted = inferencer.search(folder, folder, 3)
    with Gallery.open(place, inferencer) as gallery:
        gallery.add(folder)
    with Gallery.open(place, ModelInfo.of(inferencer)) as gallery:
        found = gallery.search(inferencer.extract(folder, normalize=False), 3)
    assert [[answer.entry.image for answer in row] for row in found] == wanted.names
    np.testing.assert_allclose([[answer.score for answer in row] for row in found], wanted.scores, atol=1e-4)


def test_each_image_has_its_modality(place, folder, tmp_path):
    trained('CrossModalReID', tmp_path / 'c.pth')
    inferencer = ReIDInferencer(tmp_path / 'c.pth', device='cpu')
    kinds = ['visible', 'infrared', 'infrared', 'visible', 'visible', 'infrared', 'visible']
    with Gallery.open(place, inferencer) as gallery:
        keys = gallery.add(folder, modality=kinds)
        for kind in ('visible', 'infrared'):
            wanted = inferencer.extract(folder, modality=kind)
            rows = [row for row, own in enumerate(kinds) if own == kind]
            found = gallery.search(wanted[rows], 1, GalleryFilter(modality=kind))
            assert [row[0].entry.key for row in found] == [keys[row] for row in rows]
            np.testing.assert_allclose([row[0].score for row in found], 1, atol=1e-5)
        with pytest.raises(ValueError, match='modality=None'):
            gallery.add(write_image(tmp_path / 'new.png', 99))


def test_facts_of_a_model_may_come_from_anybody(place, weights, tmp_path):
    checkpoint = torch.load(weights, weights_only=True)
    text = checkpoint['meta'][META_KEY]
    plain = ModelInfo.of(ReIDInferencer(weights, device='cpu')).to_plain()
    assert ModelInfo.from_plain(copy.deepcopy(plain), 'x').to_plain() == plain and text
    for change in (
        dict(name=3), dict(name='a\nb'), dict(fingerprint=''), dict(contract={}), dict(contract=[]), dict(more=1),
    ):  # fmt: skip
        with pytest.raises(ValueError, match='x'):
            ModelInfo.from_plain(dict(plain, **change), 'x')
    for wrong in (None, [], 'text'):
        with pytest.raises(ValueError, match='x does not say'):
            ModelInfo.from_plain(wrong, 'x')
