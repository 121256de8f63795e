# Copyright (c) mmreid contributors. All rights reserved.
"""Using a model: features as in testing, scores of its matcher, exact search."""

import inspect
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.dataset import Compose
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import DefaultScope, Registry
from tiny_config import tiny_config
from tiny_data import repaint, write_image, write_market
from tiny_models import MODELS_BY_KIND, trained

from mmreid.apis import ReIDInferencer, get_model
from mmreid.datasets import CorruptImageError
from mmreid.datasets.collate import reid_collate
from mmreid.engine import ReIDRunner
from mmreid.registry import TRANSFORMS
from mmreid.utils.progress import track

NAMES = [f'{number}.jpg' for number in range(7)]


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Images of several sizes, so that the resizing shows."""
    folder = tmp_path_factory.mktemp('images')
    for number, name in enumerate(NAMES):
        write_image(folder / name, number, (40 + 30 * number, 25 + 11 * number))
    return folder


@pytest.fixture(scope='module')
def models(tmp_path_factory):
    """A checkpoint of each kind of model, with its config and the model itself."""
    folder = tmp_path_factory.mktemp('models')
    return {kind: (folder / f'{kind}.pth', *trained(kind, folder / f'{kind}.pth')) for kind in MODELS_BY_KIND}


@pytest.fixture(scope='module')
def inferencer(models):
    return ReIDInferencer(models['ImageReID'][0], device='cpu', batch_size=3)


def modality_of(kind):
    return 'infrared' if kind == 'CrossModalReID' else None


@torch.no_grad()
def as_in_testing(cfg, model, paths, modality=None):
    """What a test loop computes."""
    pipeline = Compose([TRANSFORMS.build(step) for step in cfg.test_dataloader.dataset.pipeline])
    labels = dict(pid=0, camid=0, split='query', modality=modality, domain=0, timestamp=None)
    records = [dict(labels, img_path=str(path), sample_idx=index) for index, path in enumerate(paths)]
    samples = model.test_step(reid_collate([pipeline(record) for record in records]))
    return torch.stack([sample.feature for sample in samples]).numpy()


@pytest.mark.parametrize('flip', [False, True])
@pytest.mark.parametrize('kind', MODELS_BY_KIND)
def test_features_are_those_of_a_test(kind, flip, models, folder):
    path, cfg, model = models[kind]
    if flip and kind == 'PairwiseReID':
        with pytest.raises(ValueError, match='flip_test'):
            ReIDInferencer(path, device='cpu', flip_test=True)
        return
    inferencer = ReIDInferencer(path, device='cpu', flip_test=flip, batch_size=3)
    found = inferencer.extract(folder, modality=modality_of(kind), normalize=False)
    model.flip_test = flip
    wanted = as_in_testing(cfg, model, [folder / name for name in NAMES], modality_of(kind))
    model.flip_test = False
    assert found.dtype == np.float32 and np.ptp(wanted) > 0.01
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_a_checkpoint_of_a_training_is_enough(tmp_path):
    market = repaint(write_market(tmp_path / 'market'))
    cfg = tiny_config('baseline/quickstart_resnet18_1xb64-25e_procedural-64x32.py', market, tmp_path)
    cfg.train_dataloader.sampler.batches_per_epoch = 1
    cfg.merge_from_dict({'train_cfg.max_epochs': 1, 'val_cfg': None, 'val_dataloader': None, 'val_evaluator': None})
    runner = ReIDRunner.from_cfg(cfg)
    runner.train()
    runner.model.eval()
    with torch.no_grad():
        samples = [sample for batch in runner.test_dataloader for sample in runner.model.test_step(batch)]
    inferencer = ReIDInferencer(tmp_path / 'epoch_1.pth', device='cpu')
    found = inferencer.extract([sample.img_path for sample in samples], normalize=False)
    np.testing.assert_allclose(found, torch.stack([sample.feature for sample in samples]).numpy(), atol=1e-4)


def test_vectors_are_normalized_unless_asked_otherwise(inferencer, folder):
    raw, normalized = inferencer.extract(folder, normalize=False), inferencer(folder)
    np.testing.assert_allclose(normalized, F.normalize(torch.from_numpy(raw)).numpy(), atol=1e-6)
    assert normalized.shape == (7, 32) and abs(np.linalg.norm(raw, axis=1) - 1).min() > 0.1


def test_maps_are_given_as_the_matcher_takes_them(models, folder):
    maps = ReIDInferencer(models['PairwiseReID'][0], device='cpu').extract(folder)
    assert maps.shape == (7, 8, 4, 2)
    np.testing.assert_allclose(np.linalg.norm(maps, axis=1), 1, atol=1e-5)


def test_all_forms_of_an_image_give_the_same(inferencer, folder):
    wanted = inferencer.extract(folder)
    arrays = [cv2.imread(str(folder / name)) for name in NAMES]
    forms = [
        inferencer.extract(arrays, channel_order='bgr'),
        inferencer.extract([array[..., ::-1] for array in arrays], channel_order='rgb'),
        inferencer.extract(f'{folder}/*.jpg'),
        np.concatenate([features for _, features in inferencer.iter_extract(folder / name for name in NAMES)]),
    ]
    for found in forms:
        np.testing.assert_array_equal(found, wanted)


def test_threads_change_nothing(models, folder, inferencer):
    threaded = ReIDInferencer(models['ImageReID'][0], device='cpu', num_workers=2, batch_size=3)
    np.testing.assert_array_equal(threaded.extract(folder), inferencer.extract(folder))


def test_the_iterator_reads_no_further_than_a_batch_needs(inferencer, folder):
    read = []

    def paths():
        for name in NAMES * 100:
            read.append(name)
            yield folder / name

    parts = inferencer.iter_extract(paths())
    names, features = next(parts)
    assert names == [str(folder / name) for name in NAMES[:3]] and features.shape == (3, 32)
    assert len(read) <= 4 and inspect.getgeneratorstate(parts) == inspect.GEN_SUSPENDED


def test_a_bar_goes_over_the_batches(inferencer, folder, monkeypatch):
    walked = []
    monkeypatch.setattr(
        'mmreid.apis.inferencer.track', lambda items, what: walked.append(len(items)) or track(items, what)
    )
    inferencer.extract(folder)
    inferencer.extract(folder, progress=False)
    assert walked == [3]


def test_bf16_is_close(models, folder):
    half = ReIDInferencer(models['ImageReID'][0], device='cpu', precision='bf16').extract(folder)
    full = ReIDInferencer(models['ImageReID'][0], device='cpu').extract(folder)
    assert half.dtype == np.float32 and not np.array_equal(half, full)
    assert (half * full).sum(1).min() > 0.999


def test_boxes_of_a_frame_and_the_call_of_trackers(inferencer):
    frame = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    boxes = np.array([[5, 5, 40, 80, 0.9], [-10, 20, 60, 95, 0.4]])
    wanted = inferencer.extract([frame[5:80, 5:40], frame[20:90, 0:60]], channel_order='bgr')
    np.testing.assert_array_equal(inferencer.extract(frame, boxes=boxes, channel_order='bgr'), wanted)
    np.testing.assert_array_equal(inferencer.extract_embeddings(boxes, frame), wanted)
    np.testing.assert_array_equal(inferencer.extract_embeddings(SimpleNamespace(xyxy=boxes[:, :4]), frame), wanted)
    rgb = inferencer.extract_embeddings(boxes, frame[..., ::-1], channel_order='rgb')
    np.testing.assert_array_equal(rgb, wanted)


def test_a_frame_without_people(inferencer):
    frame = np.zeros((9, 9, 3), np.uint8)
    with pytest.raises(TypeError, match='None'):
        inferencer.extract_embeddings(None, frame)
    nobody = inferencer.extract_embeddings(np.zeros((0, 4)), frame)
    assert nobody.shape == (0, 32) and nobody.dtype == np.float32
    assert inferencer.extract(frame, boxes=[], channel_order='bgr', return_names=True)[1] == []


def test_search_is_exact_and_in_the_order_of_the_scores(models, folder):
    for kind in MODELS_BY_KIND:
        inferencer = ReIDInferencer(models[kind][0], device='cpu', batch_size=4)
        result = inferencer.search(f'{folder}/[0-2].jpg', folder, topk=4, modality=modality_of(kind))
        feats = torch.from_numpy(inferencer.extract(folder, modality=modality_of(kind), normalize=False))
        with torch.no_grad():
            scores = inferencer.model.matcher(feats[:3], feats)
        wanted = scores.sort(dim=1, descending=True, stable=True)
        np.testing.assert_allclose(result.scores, wanted.values[:, :4].numpy(), atol=1e-5)
        np.testing.assert_array_equal(result.indices, wanted.indices[:, :4].numpy())
        assert result.names[1] == [str(folder / NAMES[index]) for index in result.indices[1]]


def test_a_small_gallery_is_listed_as_a_whole(inferencer, folder):
    result = inferencer.search(folder / '0.jpg', folder, topk=100)
    assert sorted(result.indices[0].tolist()) == list(range(7)) and result.indices[0, 0] == 0


def test_features_can_be_given_for_images(inferencer, folder):
    by_images = inferencer.search(folder / '3.jpg', folder, topk=3)
    gallery = inferencer.extract(folder)
    by_features = inferencer.search(folder / '3.jpg', gallery, topk=3)
    np.testing.assert_array_equal(by_features.indices, by_images.indices)
    assert by_features.names[0][0] == 'feature 3'
    for wrong in (gallery[:, :5], gallery[0], gallery[:0]):
        with pytest.raises(ValueError, match=r'\(.*5|\(32,\)|\(0, 32\)'):
            inferencer.search(folder / '3.jpg', wrong)


def test_features_of_another_length(inferencer, models, folder):
    features = inferencer.extract(folder)
    assert features.shape[1:] == inferencer.feature_shape
    with pytest.raises(ValueError, match=r'\(31,\)'):
        inferencer.search(features[:, 1:], features[:, 1:])
    assert ReIDInferencer(models['CrossModalReID'][0], device='cpu').feature_shape == (32,)


def test_one_batch_at_a_time(models, folder, monkeypatch):
    inferencer = ReIDInferencer(models['CrossModalReID'][0], device='cpu')
    forward, running = inferencer.model.forward, []

    def alone(*args, **options):
        assert not running
        running.append(1)
        time.sleep(0.02)
        running.pop()
        return forward(*args, **options)

    wanted = {modality: inferencer.extract(folder, modality=modality) for modality in ('visible', 'infrared')}
    monkeypatch.setattr(inferencer.model, 'forward', alone)
    with ThreadPoolExecutor(4) as pool:
        asked = list(wanted) * 4
        found = list(pool.map(lambda modality: inferencer.extract(folder, modality=modality), asked))
    for modality, features in zip(asked, found, strict=True):
        np.testing.assert_array_equal(features, wanted[modality])


def test_compare_gives_the_score_of_the_matcher(models, folder, inferencer):
    assert inferencer.compare(folder / '0.jpg', folder / '0.jpg') == pytest.approx(1, abs=1e-5)
    vectors = inferencer.extract(folder)
    assert inferencer.compare(folder / '0.jpg', folder / '5.jpg') == pytest.approx(vectors[0] @ vectors[5], abs=1e-5)
    with pytest.raises(ValueError, match='7'):
        inferencer.compare(folder / '0.jpg', folder)
    pairwise = ReIDInferencer(models['PairwiseReID'][0], device='cpu')
    maps = torch.from_numpy(pairwise.extract(folder))
    with torch.no_grad():
        wanted = float(pairwise.model.matcher(maps[:1], maps[5:6]))
    assert pairwise.compare(folder / '0.jpg', folder / '5.jpg') == pytest.approx(wanted, abs=1e-4)


def test_raw_features_go_to_a_matcher_of_distances(tmp_path, folder):
    trained('ImageReID', tmp_path / 'model.pth', matcher=dict(type='EuclideanMatcher'))
    inferencer = ReIDInferencer(tmp_path / 'model.pth', device='cpu')
    raw = inferencer.extract(folder, normalize=False)
    wanted = -((raw[0] - raw[4]) ** 2).sum()
    rounding = 1e-6 * float((raw[0] ** 2).sum())  # the distance is a small difference of products of this size
    found = inferencer.compare(folder / '0.jpg', folder / '4.jpg')
    assert found == pytest.approx(wanted, rel=1e-4, abs=rounding) and abs(wanted) > 20 * rounding


def test_each_side_has_its_modality(models, folder):
    path, _, model = models['CrossModalReID']
    inferencer = ReIDInferencer(path, device='cpu')
    visible, infrared = (inferencer.extract(folder, modality=modality) for modality in ('visible', 'infrared'))
    assert abs(visible - infrared).max() > 1e-3
    score = inferencer.compare(folder / '0.jpg', folder / '1.jpg', modality=('infrared', 'visible'))
    assert score == pytest.approx(infrared[0] @ visible[1], abs=1e-5)
    for modality in (None, 'thermal'):
        with pytest.raises(ValueError, match=f'{modality!r}.*visible, infrared'):
            inferencer.extract(folder, modality=modality)


def test_a_modality_that_the_model_does_not_know(inferencer, folder):
    with pytest.raises(ValueError, match='infrared'):
        inferencer.extract(folder, modality='infrared')


def test_what_cannot_be_read_stops_or_is_skipped(inferencer, folder, tmp_path, mmreid_log):
    (tmp_path / 'broken.jpg').write_bytes(b'no image')
    paths = [folder / '0.jpg', tmp_path / 'broken.jpg', tmp_path / 'missing.jpg', folder / '1.jpg']
    with pytest.raises(CorruptImageError, match='broken.jpg'):
        inferencer.extract(paths)
    features, names = inferencer.extract(paths, on_error='skip', return_names=True)
    assert names == [str(folder / '0.jpg'), str(folder / '1.jpg')]
    np.testing.assert_allclose(features, inferencer.extract(names), atol=1e-6)
    assert 'broken.jpg' in mmreid_log.text and 'missing.jpg' in mmreid_log.text
    with pytest.raises(ValueError, match='broken.jpg'):
        inferencer.extract(paths[1:3], on_error='skip')
    with pytest.raises(ValueError, match='ignore'):
        inferencer.extract(paths, on_error='ignore')


def test_an_image_that_is_too_large(models, folder):
    inferencer = ReIDInferencer(models['ImageReID'][0], device='cpu', max_pixels=100)
    with pytest.raises(CorruptImageError, match='max_pixels=100'):
        inferencer.extract(folder)


def test_a_feature_that_is_not_finite(models, folder):
    inferencer = ReIDInferencer(models['ImageReID'][0], device='cpu')
    with torch.no_grad():
        inferencer.model.neck.bn.weight[0] = float('inf')
    with pytest.raises(ValueError, match='0.jpg'):
        inferencer.extract(folder)


@pytest.mark.parametrize(
    'options',
    [
        dict(precision='int8'),
        dict(batch_size=0),
        dict(max_pixels=-1),
        dict(weights='x.pth'),
        dict(num_workers=-1),
        dict(device='foo'),
    ],
    ids=str,
)
def test_wrong_options(options, models):
    path, cfg, _ = models['ImageReID']
    value = str(next(iter(options.values())))
    with pytest.raises((ValueError, FileNotFoundError), match=value):
        ReIDInferencer(get_model(cfg) if 'weights' in options else path, **dict(dict(device='cpu'), **options))


@pytest.mark.parametrize('topk', [0, -1, 1.5])
def test_a_wrong_number_of_results(inferencer, folder, topk):
    with pytest.raises(ValueError, match=f'topk={topk}'):
        inferencer.search(folder, folder, topk=topk)


def test_a_model_that_is_built_already_and_initial_weights(models, folder):
    path, cfg, _ = models['ImageReID']
    built = ReIDInferencer(get_model(cfg, path), device='cpu')
    np.testing.assert_array_equal(built.extract(folder), ReIDInferencer(path, device='cpu').extract(folder))
    with pytest.raises(ValueError, match='weights'):
        ReIDInferencer(cfg)
    assert ReIDInferencer(cfg, 'none', device='cpu').extract(folder).shape == (7, 32)
    with pytest.raises(ValueError, match=f"'none' .*{path}"):
        ReIDInferencer(path, 'none', device='cpu')
    with pytest.raises(TypeError, match='int, 5'):
        ReIDInferencer(5)


def test_it_works_in_the_scope_of_another_project(models, folder):
    if 'sibling' not in ROOT_MODELS.children:
        Registry('model', parent=ROOT_MODELS, scope='sibling')
    for kind in MODELS_BY_KIND:
        wanted = ReIDInferencer(models[kind][0], device='cpu').extract(folder, modality=modality_of(kind))
        with DefaultScope.overwrite_default_scope('sibling'):
            found = ReIDInferencer(models[kind][0], device='cpu').extract(folder, modality=modality_of(kind))
            assert DefaultScope.get_current_instance().scope_name == 'sibling'
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize('kind', ['ImageReID', 'DomainAdaptiveReID'])
def test_the_contract_follows_the_flip_test(kind, models):
    path = models[kind][0]
    plain, mirrored = ReIDInferencer(path, device='cpu'), ReIDInferencer(path, device='cpu', flip_test=True)
    assert (plain.contract.flip_test, mirrored.contract.flip_test) == (False, True)
    assert not mirrored.contract.normalized


def test_a_given_model_is_not_changed(models):
    model = get_model(models['ImageReID'][0])
    with pytest.raises(ValueError, match='flip_test=True'):
        ReIDInferencer(model, device='cpu', flip_test=True)
    assert not model.flip_test and ReIDInferencer(model, device='cpu', flip_test=False).model is model


def test_images_of_a_generator_are_not_all_kept(models, folder):
    alive, most = set(), 0

    def images():
        nonlocal most
        for number in range(12):
            image = np.full((40, 20, 3), number, np.uint8)
            alive.add(number)
            weakref.finalize(image, alive.discard, number)
            most = max(most, len(alive))
            yield image

    inferencer = ReIDInferencer(models['ImageReID'][0], device='cpu', batch_size=2)
    assert inferencer.extract(images(), channel_order='bgr').shape == (12, 32) and most < 6
    listed = [np.full((40, 20, 3), number, np.uint8) for number in range(12)]
    assert len(inferencer.search(images(), listed, channel_order='bgr').query_names) == 12


def test_nothing_is_readable_in_an_iterator(models, tmp_path):
    (tmp_path / 'a.jpg').write_bytes(b'')
    with pytest.raises(ValueError, match='a.jpg'):
        list(ReIDInferencer(models['ImageReID'][0], device='cpu').iter_extract(tmp_path, on_error='skip'))


def test_double_precision_features_can_be_given(inferencer, folder):
    features = inferencer.extract(folder, progress=False)
    found = inferencer.search(features.astype(np.float64), features)
    np.testing.assert_array_equal(found.indices[:, 0], range(len(NAMES)))
