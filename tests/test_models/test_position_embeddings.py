# Copyright (c) mmreid contributors. All rights reserved.
"""Weights of transformers trained on images of another shape."""

import re

import pytest
import torch

from mmreid.registry import MODELS
from mmreid.utils.load_report import load_weights

ARCH = dict(embed_dims=8, num_layers=1, num_heads=2, feedforward_channels=16)
SWIN = dict(type='SwinTransformer', arch=dict(embed_dims=8, depths=[1, 1, 1, 2], num_heads=[1, 1, 2, 2]))
EXTRA = {'head.layers.head.weight': torch.zeros(10, 8)}  # the classifier of a published file


def vit(height, width, **options):
    return MODELS.build(dict(type='VisionTransformer', arch=ARCH, img_size=(height, width), **options))


def places(rows, columns):
    """What an embedding that knows its place says: row and column of each place, from 0 to 1."""
    row = ((torch.arange(rows) + 0.5) / rows).repeat_interleave(columns)
    column = ((torch.arange(columns) + 0.5) / columns).repeat(rows)
    return torch.stack((row, column), dim=1)


def that_knows_its_places(height, width):
    model = vit(height, width)
    for value in model.state_dict().values():
        value.copy_(torch.randn_like(value))
    model.pos_embed.data[0, 1:, :2] = places(height // 16, width // 16)
    return model


@pytest.mark.parametrize('size', [(224, 224), (256, 128), (128, 192)])
@pytest.mark.parametrize('options', [{}, dict(out_type='featmap'), dict(out_type='featmap', with_cls_token=False)])
def test_position_embeddings_of_any_shape_are_interpolated(size, options):
    source = that_knows_its_places(*size)
    grid = None if size == (224, 224) else (size[0] // 16, size[1] // 16)
    model = vit(384, 128, pretrained_grid=grid, **options)
    report = load_weights(model, dict(state_dict={**source.state_dict(), **EXTRA}))
    without = [] if model.with_cls_token else ['cls_token']
    assert not report.missing and not report.reshaped and report.unused == without + list(EXTRA)
    extra = model.num_extra_tokens
    assert torch.equal(model.pos_embed[:, :extra], source.pos_embed[:, :extra])
    # Bicubic interpolation keeps what grows evenly, but for the border.
    torch.testing.assert_close(model.pos_embed[0, extra:, :2], places(24, 8), rtol=0, atol=0.04)
    assert torch.equal(model.layers[0].attn.qkv.weight, source.layers[0].attn.qkv.weight)


def test_imagenet_weights_come_through_init_cfg_with_a_report(tmp_path, mmreid_log):
    source = that_knows_its_places(224, 224)
    state = {f'backbone.{key}': value for key, value in source.state_dict().items()} | EXTRA
    torch.save(dict(state_dict=state), tmp_path / 'vit.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'vit.pth'), prefix='backbone.')
    model = vit(256, 128, init_cfg=init_cfg)
    model.init_weights()
    torch.testing.assert_close(model.pos_embed[0, 1:, :2], places(16, 8), rtol=0, atol=0.04)
    assert torch.equal(model.cls_token, source.cls_token)
    assert re.search('14x14.*16x8', mmreid_log.text)
    assert 'missing keys' not in mmreid_log.text


def test_the_same_shape_is_not_touched():
    source, model = that_knows_its_places(256, 128), vit(256, 128)
    assert load_weights(model, source.state_dict()).is_exact
    assert torch.equal(model.pos_embed, source.pos_embed)


def test_a_grid_that_cannot_be_is_refused():
    state = that_knows_its_places(256, 128).state_dict()
    for grid, taken in ((None, '11x11'), ((8, 8), '8x8')):
        model = vit(384, 128, pretrained_grid=grid)
        with pytest.raises(ValueError, match=f' 128 .* {taken}.*model.backbone.pretrained_grid='):
            load_weights(model, state)


def test_windows_of_a_swin_do_not_know_the_shape_of_the_image(tmp_path):
    source = MODELS.build(SWIN)
    for value in source.state_dict().values():
        value.copy_(torch.randn_like(value)) if value.is_floating_point() else None
    torch.save(dict(state_dict={**source.state_dict(), **EXTRA}), tmp_path / 'swin.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'swin.pth'))
    model = MODELS.build(dict(SWIN, img_size=(256, 128), pad_small_map=True, init_cfg=init_cfg))
    model.init_weights()
    expected = source.state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in model.state_dict().items())
    report = load_weights(model, torch.load(tmp_path / 'swin.pth', weights_only=True))
    assert not report.missing and not report.reshaped and report.unused == list(EXTRA)
    assert model(torch.rand(1, 3, 256, 128))[0].shape == (1, 64, 8, 4)
