# Copyright (c) mmreid contributors. All rights reserved.
"""Class activation maps of scores, against what is known of a network by hand."""

import cv2
import numpy as np
import pytest
import torch
from test_tools.tool_modules import load_tool
from tiny_config import ROOT
from tiny_data import write_image
from tiny_models import trained

from mmreid.apis import ReIDInferencer
from mmreid.apis.similarity_cam import SimilarityCam
from mmreid.visualization.heat_map import draw_heat_maps

pytest.importorskip('pytorch_grad_cam', reason='grad-cam is not installed: pip install "mmreid[optional]"')
TRANSFORMER = dict(
    type='VisionTransformer',
    arch=dict(embed_dims=32, num_layers=2, num_heads=2, feedforward_channels=32),
    img_size=(64, 32), patch_size=8, out_type='cls_token',
)  # fmt: skip


def cam_of(folder, kind, layer=None, **changes):
    trained(kind, folder / 'a.pth', **changes)
    return SimilarityCam(ReIDInferencer(folder / 'a.pth', device='cpu'), layer)


def half(left, right):
    """An image whose left and right half have one brightness each, (64, 32, 3)."""
    image = np.full((64, 32, 3), left, np.uint8)
    image[:, 16:] = right
    return image


def test_a_linear_network_shows_exactly_where_the_score_comes_from(tmp_path):
    """The mean of the map is the feature, so heat is the brightness times the gradient of the score."""
    cam = cam_of(tmp_path, 'ImageReID', 'backbone.layer4')
    model = cam.inferencer.model
    features = torch.zeros(1, 32, 2, 1)
    features[0, 0, 0], features[0, 1, 1] = 3.0, 2.0  # channel 0 at the top, channel 1 at the bottom
    cam._module.register_forward_hook(lambda module, inputs, output: features + 0 * output.sum())
    model.extract_feat = lambda inputs, samples: model.backbone(inputs)[0].mean((2, 3))
    model.matcher.forward = lambda query, gallery: query[:, 1:2]
    heat = cam(half(0, 255), half(255, 0))
    assert heat.shape == (64, 32) and heat.min() == 0 and heat.max() > 0.99
    assert heat[-1].mean() > 0.9 and heat[0].max() < 0.1


def test_places_that_the_score_does_not_read_are_cold(tmp_path):
    cam = cam_of(tmp_path, 'ImageReID', 'backbone.layer4')
    model = cam.inferencer.model
    features = torch.zeros(1, 32, 2, 1)
    features[0, 0] = 3.0  # the same at the top and at the bottom
    cam._module.register_forward_hook(lambda module, inputs, output: features + 0 * output.sum())
    model.extract_feat = lambda inputs, samples: model.backbone(inputs)[0][..., 1, 0]  # reads the bottom
    model.matcher.forward = lambda query, gallery: query[:, :1]
    heat = cam(half(0, 255), half(255, 0))
    assert heat[-1].mean() > 0.9 and heat[0].max() < 0.1


@pytest.mark.parametrize('kind', ['ImageReID', 'PairwiseReID', 'CrossModalReID', 'DomainAdaptiveReID'])
def test_every_kind_of_model_has_a_map(tmp_path, kind):
    cam = cam_of(tmp_path, kind)
    modality = 'visible' if kind == 'CrossModalReID' else None
    one, other = half(40, 220), half(200, 60)
    before = {name: value.clone() for name, value in cam.inferencer.model.state_dict().items()}
    heats = [cam(one, other, different=different, modality=modality) for different in (False, True)]
    for heat in heats:
        assert heat.shape == (64, 32) and np.isfinite(heat).all() and heat.min() >= 0 and heat.max() <= 1
    assert max(heat.max() for heat in heats) > 0 and not np.array_equal(*heats)
    assert all(torch.equal(value, before[name]) for name, value in cam.inferencer.model.state_dict().items())
    assert cam.layer.startswith('backbone.')


def test_the_last_stage_with_enough_places_is_taken(tmp_path):
    assert cam_of(tmp_path, 'ImageReID').layer == 'backbone.layer2'  # 8 x 4 of an image of 64 x 32


def test_tokens_become_a_grid(tmp_path):
    neck, head = dict(type='BNNeck', in_channels=32), dict(type='ReIDHead', in_channels=32, num_classes=5)
    cam = cam_of(tmp_path, 'ImageReID', backbone=TRANSFORMER, neck=neck, head=head)
    assert cam.layer == 'backbone.layers.1.ln1'
    tokens = torch.arange(1 + 8 * 4).float()[None, :, None]
    grid = cam._on_grid(tokens)
    assert grid.shape == (1, 1, 8, 4) and grid[0, 0, 0].tolist() == [1, 2, 3, 4]  # without the class token
    heats = [cam(half(40, 220), half(200, 60), different=different) for different in (False, True)]
    assert all(heat.shape == (64, 32) for heat in heats)
    assert max(heat.max() for heat in heats) > 0  # of one sign, by chance, everything may cancel


def test_the_transformer_of_the_benchmark_has_a_layer():
    config = ROOT / 'benchmarks/attention/vit_1xb32-9e_procedural-128x64.py'
    cam = SimilarityCam(ReIDInferencer(str(config), 'none', 'cpu'))
    assert cam.layer == 'backbone.layers.3.ln1' and cam(np.zeros((128, 64, 3), np.uint8)).shape == (128, 64)


def test_wrong_requests_are_refused(tmp_path):
    cam = cam_of(tmp_path, 'ImageReID')
    assert cam(half(40, 220)).shape == (64, 32)
    with pytest.raises(ValueError, match='second image'):
        cam(half(40, 220), different=True)
    with pytest.raises(ValueError, match="'backbone.nothing'"):
        SimilarityCam(cam.inferencer, 'backbone.nothing')
    with pytest.raises(ValueError, match='second image'):
        cam_of(tmp_path, 'PairwiseReID')(half(40, 220))


def test_heat_is_drawn_over_the_image():
    heat = np.zeros((8, 4), np.float32)
    heat[:4] = 1
    drawing = draw_heat_maps([half(100, 100)], [heat], ['a line'], size=(64, 32))
    tile = drawing[6:70, 6 + 32 + 6 : 6 + 32 + 6 + 32]
    assert tile[2, 16, 2] > tile[-3, 16, 2] and tile[-3, 16, 0] > tile[2, 16, 0]  # red at the top, blue below
    assert (drawing[6:70, 6:38] == 100).all()


def test_tool_draws_both_images(tmp_path, capsys):
    trained('ImageReID', tmp_path / 'a.pth')
    tool = load_tool('visualization/vis_cam.py')
    images = [str(write_image(tmp_path / f'{number}.png', number)) for number in (1, 2)]
    words = [images[0], '--against', images[1], '--model', str(tmp_path / 'a.pth'), '--device', 'cpu']
    tool.main([*words, '--out', str(tmp_path / 'cam.png')])
    assert 'score' in capsys.readouterr().out
    assert cv2.imread(str(tmp_path / 'cam.png')).shape[1] == 4 * (192 + 6) + 6
    for wrong in ([images[0], '--different'], [*words, '--out', str(tmp_path / 'cam.txt')]):
        with pytest.raises(SystemExit):
            tool.parse_args(wrong)
