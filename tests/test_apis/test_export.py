# Copyright (c) mmreid contributors. All rights reserved.
"""Exports: the consumer's arithmetic on image files gives our embedding, another's does not; nothing half written."""

import io
import json
import sys

import cv2
import numpy as np
import pytest
import torch
from mmengine.utils import digit_version
from test_tools.tool_modules import load_tool
from tiny_config import ROOT
from tiny_data import write_image
from tiny_models import MODELS_BY_KIND, SIZE, filled, tiny_model_config, trained

from mmreid.apis import ReIDInferencer, get_model
from mmreid.apis.export import export_model
from mmreid.apis.export.exported import export_in_memory
from mmreid.apis.export.graph import EmbeddingGraph, ScorerGraph
from mmreid.apis.export.targets import TARGETS
from mmreid.apis.export.verify import verify
from mmreid.apis.model_building import contract_of_model

MEAN, STD = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], np.float32)[:, :, None, None]
# What a consumer feeds to the graph, of RGB pixels (3, H, W) from 0 to 255.
ARITHMETIC = dict(
    onnxruntime=lambda pixels: pixels,
    openvino=lambda pixels: pixels,
    exportedprogram=lambda pixels: pixels,
    boxmot=lambda pixels: (pixels / 255 - MEAN) / STD,
    ultralytics=lambda pixels: pixels / 255,
)
VECTORS = [kind for kind in MODELS_BY_KIND if kind != 'PairwiseReID']


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    """Images of the model's size, so that no resize hides the arithmetic."""
    folder = tmp_path_factory.mktemp('images')
    for number in range(5):
        write_image(folder / f'{number}.png', number, SIZE)
    return folder


@pytest.fixture(scope='module')
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp('models')
    for kind in MODELS_BY_KIND:
        trained(kind, folder / f'{kind}.pth')
    return {kind: get_model(folder / f'{kind}.pth') for kind in MODELS_BY_KIND}


def modality_of(kind):
    return 'infrared' if kind == 'CrossModalReID' else None


def pixels_of(folder):
    bgr = [cv2.imread(str(path)) for path in sorted(folder.iterdir())]
    return np.stack(bgr)[..., ::-1].transpose(0, 3, 1, 2).astype(np.float32)


def lowest_cosine(found, wanted):
    return torch.nn.functional.cosine_similarity(*(torch.as_tensor(x).flatten(1) for x in (found, wanted))).min()


@torch.no_grad()
def embedded(model, target, modality, pixels):
    graph = EmbeddingGraph(model, contract_of_model(model), TARGETS[target], modality).eval()
    return graph(torch.from_numpy(ARITHMETIC[target](pixels)).float())


@pytest.mark.parametrize('target', TARGETS)
@pytest.mark.parametrize('kind', VECTORS)
def test_the_arithmetic_of_each_consumer_gives_our_embedding(kind, target, models, images):
    modality = modality_of(kind)
    wanted = ReIDInferencer(models[kind], device='cpu').extract(images, modality=modality)
    found = embedded(models[kind], target, modality, pixels_of(images))
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-4)


@pytest.mark.parametrize(('made_for', 'used_by'), [('boxmot', 'ultralytics'), ('ultralytics', 'boxmot')])
def test_a_file_for_one_tracker_is_wrong_for_the_other(made_for, used_by, models, images):
    model, pixels = models['ImageReID'], ARITHMETIC[used_by](pixels_of(images))
    graph = EmbeddingGraph(model, contract_of_model(model), TARGETS[made_for]).eval()
    wanted = ReIDInferencer(model, device='cpu').extract(images)
    with torch.no_grad():
        assert lowest_cosine(graph(torch.from_numpy(pixels).float()), wanted) < TARGETS[used_by].min_cosine


def test_the_flip_test_is_in_the_graph(tmp_path, images):
    trained('ImageReID', tmp_path / 'model.pth', flip_test=True)
    model = get_model(tmp_path / 'model.pth')
    wanted = ReIDInferencer(model, device='cpu').extract(images)
    np.testing.assert_allclose(embedded(model, 'boxmot', None, pixels_of(images)).numpy(), wanted, atol=1e-4)


def test_each_modality_has_its_own_network(models, images):
    found = [
        embedded(models['CrossModalReID'], 'onnxruntime', each, pixels_of(images)) for each in ('visible', 'infrared')
    ]
    assert not torch.allclose(*found, atol=1e-4)


def test_lengths_stay_where_the_matcher_compares_them(tmp_path, images):
    trained('ImageReID', tmp_path / 'model.pth', matcher=dict(type='EuclideanMatcher'))
    model = get_model(tmp_path / 'model.pth')
    wanted = ReIDInferencer(model, device='cpu').extract(images, normalize=False)
    found = embedded(model, 'onnxruntime', None, pixels_of(images)).numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    assert abs(np.linalg.norm(found, axis=1) - 1).min() > 0.1


@torch.no_grad()
@pytest.mark.parametrize('symmetric', [True, False])
def test_the_scorer_gives_the_scores_of_the_matcher(symmetric, images):
    model = filled(
        get_model(
            tiny_model_config('PairwiseReID', matcher=dict(type='QAConvMatcher', size=(4, 2), symmetric=symmetric))
        )
    )
    maps = torch.from_numpy(ReIDInferencer(model, device='cpu').extract(images))
    scores = ScorerGraph(model.matcher).eval()(maps[:2], maps)
    torch.testing.assert_close(scores, model.matcher(maps[:2], maps), atol=1e-4, rtol=1e-4)


@pytest.mark.skipif(
    digit_version(torch.__version__) < digit_version('2.7'), reason='torch 2.6 fails beside onnxscript 0.7'
)
def test_boxmot_gets_its_file_and_sidecar(tmp_path, models, images):
    pytest.importorskip('onnxscript')
    onnxruntime = pytest.importorskip('onnxruntime')
    paths, checked = export_model(models['ImageReID'], tmp_path / 'model.onnx', 'boxmot', images=images)
    assert [path.name for path in paths] == ['model.onnx.metadata.json', 'model.onnx']
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    assert checked.num_images == 5 and checked.cosine >= 0.9999 == checked.required
    sidecar = json.loads(paths[0].read_text())
    assert sidecar['preprocess'] == 'resize' and sidecar['model_kwargs'] == dict(img_size=list(SIZE))
    assert sidecar['model_name'] == 'mmreid'
    session = onnxruntime.InferenceSession(paths[1], providers=['CPUExecutionProvider'])
    assert b'site-packages' not in paths[1].read_bytes() and str(ROOT).encode() not in paths[1].read_bytes()
    entry, output = session.get_inputs()[0], session.get_outputs()[0]
    assert entry.shape == ['batch', 3, *SIZE] and output.shape == ['batch', 32]
    about = json.loads(session.get_modelmeta().custom_metadata_map['mmreid'])
    assert about == sidecar['mmreid'] and about['target'] == 'boxmot' and about['output']['normalized'] is True
    assert about['input']['mean'] == [0.485, 0.456, 0.406] and about['input']['scale'] == 255
    wanted = ReIDInferencer(models['ImageReID'], device='cpu').extract(images)
    inputs = ARITHMETIC['boxmot'](pixels_of(images))
    for size in (1, 2, 5):
        found = session.run(None, {entry.name: inputs[:size]})[0]
        np.testing.assert_allclose(found, wanted[:size], atol=1e-4)


def test_a_verification_as_another_consumer_fails(models, images, tmp_path):
    contract, source = contract_of_model(models['ImageReID']), TARGETS['exportedprogram']
    exported = export_in_memory(models['ImageReID'], contract, tmp_path / 'a.pt2', source, False, None)
    assert verify(exported, models['ImageReID'], source, images).cosine >= 0.9999
    with pytest.raises(ValueError, match=r'\.png as ultralytics .* 0\.\d+, below 0\.999 .*exportedprogram'):
        verify(exported, models['ImageReID'], TARGETS['ultralytics'], images)


def test_the_tool_writes_a_program_that_describes_itself(tmp_path, images, capsys):
    config = tmp_path / 'config.py'
    cfg, _ = trained('CrossModalReID', tmp_path / 'model.pth')
    cfg.dump(config)
    out = tmp_path / 'out.pt2'
    arguments = [
        config,
        tmp_path / 'model.pth',
        out,
        '--target',
        'exportedprogram',
        '--modality',
        'infrared',
        '--verify',
        images,
    ]
    load_tool('export.py').main([str(argument) for argument in arguments])
    shown = capsys.readouterr().out
    assert str(out) in shown and '5 images' in shown
    assert b'site-packages' not in out.read_bytes() and str(ROOT).encode() not in out.read_bytes()
    extra = {'mmreid.json': ''}
    network = torch.export.load(io.BytesIO(out.read_bytes()), extra_files=extra).module()
    about = json.loads(extra['mmreid.json'])
    assert about['modality'] == 'infrared' and about['resize'] == dict(
        size=list(SIZE), interpolation='bicubic', backend='pillow'
    )
    wanted = ReIDInferencer(get_model(tmp_path / 'model.pth'), device='cpu').extract(images, modality='infrared')
    pixels = torch.from_numpy(pixels_of(images))
    for size in (1, 5):
        np.testing.assert_allclose(network(pixels[:size]).detach().numpy(), wanted[:size], atol=1e-4)


def test_nothing_is_written_where_the_comparison_fails(tmp_path, models, images, monkeypatch):
    monkeypatch.setitem(TARGETS, 'exportedprogram', type(TARGETS['boxmot'])('exportedprogram', '.pt2', min_cosine=1.5))
    with pytest.raises(ValueError, match=r'below 1\.5'):
        export_model(models['ImageReID'], tmp_path / 'model.pt2', 'exportedprogram', images=images)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ('kind', 'out', 'target', 'options', 'message'),
    [
        ('ImageReID', 'a.pt2', 'boxmot', {}, r'a\.pt2 .*\.onnx'),
        ('ImageReID', 'a.onnx', 'tensorrt', {}, 'tensorrt'),
        ('ImageReID', 'a.onnx', 'boxmot', dict(modality='visible'), 'visible'),
        ('CrossModalReID', 'a.onnx', 'boxmot', {}, 'modality=None'),
        ('PairwiseReID', 'a.onnx', 'boxmot', {}, 'boxmot .*PairwiseReID'),
    ],
)
def test_what_a_target_cannot_take(kind, out, target, options, message, tmp_path, models):
    with pytest.raises(ValueError, match=message):
        export_model(models[kind], tmp_path / out, target, **options)
    assert not list(tmp_path.iterdir())


def test_files_are_not_replaced_unasked(tmp_path, models):
    (tmp_path / 'a.onnx.metadata.json').write_text('kept')
    with pytest.raises(FileExistsError, match=r'a\.onnx\.metadata\.json'):
        export_model(models['ImageReID'], tmp_path / 'a.onnx', 'boxmot')
    assert (tmp_path / 'a.onnx.metadata.json').read_text() == 'kept'


def test_a_missing_package_is_named(tmp_path, models, monkeypatch):
    monkeypatch.setitem(sys.modules, 'onnxscript', None)
    with pytest.raises(ImportError, match=r'onnxscript.*mmreid\[export\]'):
        export_model(models['ImageReID'], tmp_path / 'a.onnx', 'onnxruntime')
    assert not list(tmp_path.iterdir())


def test_another_resize_than_in_training_is_said(tmp_path, models, monkeypatch, mmreid_log):
    monkeypatch.setitem(sys.modules, 'onnxscript', None)
    with pytest.raises(ImportError):
        export_model(models['ImageReID'], tmp_path / 'a.onnx', 'ultralytics')
    assert 'bicubic' in mmreid_log.text
