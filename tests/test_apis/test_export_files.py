# Copyright (c) mmreid contributors. All rights reserved.
"""Every kind of model through every file format, as its consumer runs it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.utils import digit_version
from tiny_config import tiny_config
from tiny_data import write_image
from tiny_models import MODELS_BY_KIND, SIZE, filled, trained

from mmreid.apis import get_model
from mmreid.apis.export import export_model

pytestmark = [
    pytest.mark.long,
    pytest.mark.slow,
    pytest.mark.skipif(
        digit_version(torch.__version__) < digit_version('2.7'), reason='torch 2.6 fails beside onnxscript 0.7'
    ),
]
SUFFIXES = dict(onnxruntime='.onnx', openvino='.xml', exportedprogram='.pt2')


@pytest.fixture
def images(tmp_path):
    for number in range(4):
        write_image(tmp_path / 'images' / f'{number}.png', number, (70, 40))
    return tmp_path / 'images'


def skip_without(target):
    for module in dict(onnxruntime=['onnxscript'], openvino=['onnxscript', 'openvino']).get(target, []):
        pytest.importorskip(module)


@pytest.mark.parametrize('fp16', [False, True])
@pytest.mark.parametrize('target', SUFFIXES)
@pytest.mark.parametrize('kind', MODELS_BY_KIND)
def test_a_file_gives_what_the_model_gives(kind, target, fp16, tmp_path, images):
    skip_without(target)
    trained(kind, tmp_path / 'model.pth')
    modality = 'visible' if kind == 'CrossModalReID' else None
    paths, checked = export_model(
        get_model(tmp_path / 'model.pth'),
        tmp_path / f'out{SUFFIXES[target]}',
        target,
        fp16=fp16,
        modality=modality,
        images=images,
    )
    assert checked.num_images == 4 and checked.cosine >= (0.999 if fp16 else 0.9999) == checked.required
    assert len(paths) == (2 if kind == 'PairwiseReID' else 1) * (2 if target == 'openvino' else 1)
    assert all(path.is_file() for path in paths)


def test_the_scorer_is_a_file_of_its_own(tmp_path, images):
    onnxruntime = pytest.importorskip('onnxruntime')
    skip_without('onnxruntime')
    trained('PairwiseReID', tmp_path / 'model.pth')
    model = get_model(tmp_path / 'model.pth')
    paths, _ = export_model(model, tmp_path / 'out.onnx', 'onnxruntime', images=images)
    assert [path.name for path in paths] == ['out.scorer.onnx', 'out.onnx']
    session = onnxruntime.InferenceSession(paths[0], providers=['CPUExecutionProvider'])
    assert [entry.shape[0] for entry in session.get_inputs()] == ['query', 'gallery']
    maps = torch.nn.functional.normalize(torch.rand(6, 8, 4, 2), dim=1)
    found = session.run(None, dict(query=maps[:1].numpy(), gallery=maps.numpy()))[0]
    with torch.no_grad():
        wanted = model.matcher(maps[:1], maps).numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-4, rtol=1e-4)


def test_openvino_keeps_the_description(tmp_path):
    skip_without('openvino')
    openvino = pytest.importorskip('openvino')
    trained('ImageReID', tmp_path / 'model.pth')
    export_model(get_model(tmp_path / 'model.pth'), tmp_path / 'out.xml', 'openvino')
    model = openvino.Core().read_model(tmp_path / 'out.xml')
    about = json.loads(model.get_rt_info(['mmreid']).astype(str))
    assert about['target'] == 'openvino' and about['resize']['size'] == list(SIZE)
    assert model.input(0).partial_shape[0].is_dynamic


@pytest.mark.parametrize(
    'config',
    [
        'baseline/bot_swin-tiny_1xb64-120e_market1501-256x128.py',
        'baseline/bot_vit-small_1xb64-120e_market1501-256x128.py',
        'baseline/bot_convnext-tiny_1xb64-120e_market1501-256x128.py',
        'baseline/pcb_resnet50_1xb64-60e_market1501-384x128.py',
        'baseline/softmax_osnet-ain-x1-0_1xb64-100e_msmt17-all-to-market1501-256x128.py',
        'baseline/sbs_resnet50-ibna_1xb64-60e_market1501-384x128.py',
    ],
)
def test_shipped_networks_take_batches_of_any_size(config, tmp_path, images):
    skip_without('onnxruntime')
    model = filled(get_model(tiny_config(config, Path('nowhere'), tmp_path)))
    # One image, then three: another size than the two that it was exported with.
    _, checked = export_model(model, tmp_path / 'out.onnx', 'onnxruntime', images=[*images.iterdir()])
    assert checked.cosine >= 0.9999
