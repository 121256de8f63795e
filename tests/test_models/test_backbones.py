# Copyright (c) mmreid contributors. All rights reserved.
"""Backbones of MMPretrain and ours, each small, under an embedding model and under one that matches maps."""

import pytest
import torch

from mmreid.models import OSNet, ResNetIBN, ResNetNL, VisionTransformer, drop_unused_stages
from mmreid.registry import MODELS
from mmreid.structures import ReIDDataSample

SIZE = (128, 64)
RESNET = dict(stem_channels=8, base_channels=8)
SWIN = dict(embed_dims=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2])
SWIN_V2 = dict(SWIN, extra_norm_every_n_blocks=0)
PADDED = dict(img_size=SIZE, pad_small_map=True)
VIT = dict(arch=dict(embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=32), img_size=SIZE)
HRNET = dict(
    stage1=dict(num_modules=1, num_branches=1, block='BOTTLENECK', num_blocks=(1,), num_channels=(8,)),
    stage2=dict(num_modules=1, num_branches=2, block='BASIC', num_blocks=(1, 1), num_channels=(4, 8)),
    stage3=dict(num_modules=1, num_branches=3, block='BASIC', num_blocks=(1, 1, 1), num_channels=(4, 8, 16)),
    stage4=dict(num_modules=1, num_branches=4, block='BASIC', num_blocks=(1, 1, 1, 1), num_channels=(4, 8, 16, 32)),
)
REPVGG = dict(num_blocks=[1, 1, 1, 1], width_factor=[0.25] * 4, group_layer_map=None, se_cfg=None)
THIRD = dict(out_indices=(2,))  # the stage of stride 16 where there are four

# Config, channels of the embedding; what a map model sets besides, channels and size of its map.
BACKBONES = {
    'ResNet': (dict(type='ResNet', depth=18, **RESNET), 64, THIRD, 32, (8, 4)),
    'ResNet-stride1': (dict(type='ResNet', depth=18, strides=(1, 2, 2, 1), **RESNET), 64, {}, 64, (8, 4)),
    'ResNeXt': (dict(type='ResNeXt', depth=50, groups=2, **RESNET), 256, THIRD, 128, (8, 4)),
    'SEResNet': (dict(type='SEResNet', depth=50, **RESNET), 256, THIRD, 128, (8, 4)),
    'ResNeSt': (dict(type='ResNeSt', depth=50, **RESNET), 256, THIRD, 128, (8, 4)),
    'ResNet-IBN-a': (dict(type='ResNetIBN', depth=18, ibn='a', **RESNET), 64, THIRD, 32, (8, 4)),
    'ResNet-IBN-b': (dict(type='ResNetIBN', depth=18, ibn='b', **RESNET), 64, THIRD, 32, (8, 4)),
    'ResNetNL': (dict(type='ResNetNL', depth=18, non_local=(0, 1, 2, 0), **RESNET), 64, THIRD, 32, (8, 4)),
    'OSNet': (dict(type='OSNet', arch='x0_25'), 128, {}, 128, (8, 4)),
    'OSNet-IBN': (dict(type='OSNet', arch='x0_25', variant='ibn'), 128, {}, 128, (8, 4)),
    'OSNet-AIN': (dict(type='OSNet', arch='x0_25', variant='ain'), 128, dict(out_indices=(1,)), 96, (8, 4)),
    'DenseNet': (
        dict(type='DenseNet', arch=dict(growth_rate=4, depths=[2, 2, 2, 2], init_channels=8)),
        *(16, {}, 16, (4, 2)),
    ),
    'RegNet': (
        dict(type='RegNet', arch=dict(w0=8, wa=10, wm=2.0, group_w=8, depth=5, bot_mul=1.0)),
        *(64, THIRD, 32, (8, 4)),
    ),
    'EfficientNet': (dict(type='EfficientNet', arch='b0'), 1280, dict(out_indices=(4,)), 112, (8, 4)),
    'MobileNetV2': (dict(type='MobileNetV2', widen_factor=0.25), 1280, dict(out_indices=(4,)), 24, (8, 4)),
    'MobileNetV3': (dict(type='MobileNetV3', arch='small_050'), 288, dict(out_indices=(8,)), 24, (8, 4)),
    'ShuffleNetV2': (dict(type='ShuffleNetV2', widen_factor=0.5), 1024, dict(out_indices=(1,)), 96, (8, 4)),
    'RepVGG': (dict(type='RepVGG', arch=REPVGG, base_channels=32), 64, THIRD, 32, (8, 4)),
    'HRNet': (dict(type='HRNet', extra=HRNET), 32, {}, 32, (4, 2)),
    'ConvNeXt': (
        dict(type='ConvNeXt', arch=dict(depths=[1, 1, 1, 1], channels=[4, 8, 16, 32])),
        *(32, dict(THIRD, gap_before_final_norm=False), 16, (8, 4)),
    ),
    'SwinTransformer': (dict(type='SwinTransformer', arch=SWIN, **PADDED), 64, THIRD, 32, (8, 4)),
    'SwinTransformerV2': (
        dict(type='SwinTransformerV2', arch=SWIN_V2, window_size=8, **PADDED),
        *(64, THIRD, 32, (8, 4)),
    ),
    'VisionTransformer': (dict(type='VisionTransformer', **VIT), 16, dict(out_type='featmap'), 16, (8, 4)),
}
# Fuses its four maps into each other in its last layer, of which one is used.
PARTLY_USED = ('HRNet',)


def embedding_model(backbone, channels):
    return MODELS.build(
        dict(
            type='ImageReID',
            backbone=backbone,
            neck=dict(type='BNNeck', in_channels=channels),
            head=dict(type='ReIDHead', in_channels=channels, num_classes=2, loss_metric=dict(type='TripletLoss')),
        )
    )


def map_model(backbone, channels, size):
    return MODELS.build(
        dict(
            type='PairwiseReID',
            backbone=backbone,
            neck=dict(type='FeatureMapNeck', in_channels=channels, out_channels=8),
            matcher=dict(type='QAConvMatcher', size=size),
            head=dict(type='PairwiseHead'),
        )
    )


def trains_a_step(model, partly_used=False):
    """Takes a step, which must move the first and the last weight, and give each a gradient, as several GPUs need."""
    torch.manual_seed(0)
    samples = [ReIDDataSample(metainfo=dict(sample_idx=i)).set_gt_label(i // 2) for i in range(4)]
    batch = dict(inputs=torch.randint(0, 256, (4, 3, *SIZE), dtype=torch.uint8), data_samples=samples)
    model.init_weights()
    model.train()
    total, _ = model.parse_losses(model(**model.data_preprocessor(batch, training=True), mode='loss'))
    total.backward()
    assert total.isfinite()
    trained = [p for p in model.parameters() if p.requires_grad]
    assert all(p.grad is not None for p in trained) is not partly_used
    first, last = (next(iter(part.parameters())) for part in (model.backbone, model.neck))
    before = first.detach().clone(), last.detach().clone()
    torch.optim.Adam(trained, lr=0.1).step()
    assert first.isfinite().all() and not torch.equal(first, before[0]) and not torch.equal(last, before[1])


@pytest.mark.parametrize('name', BACKBONES)
def test_trains_as_embedding(name):
    backbone, channels, *_ = BACKBONES[name]
    trains_a_step(embedding_model(backbone, channels), name in PARTLY_USED)


@pytest.mark.parametrize('name', BACKBONES)
def test_trains_as_map(name):
    backbone, _, changes, channels, size = BACKBONES[name]
    trains_a_step(map_model({**backbone, **changes}, channels, size), name in PARTLY_USED)


@pytest.mark.parametrize('name', ['RepVGG', 'MobileNetV2', 'MobileNetV3', 'EfficientNet', 'ShuffleNetV2'])
def test_what_is_cut_off_was_not_used(name):
    backbone, _, changes, *_ = BACKBONES[name]
    net = MODELS.build({**backbone, **changes})
    net.eval()
    x = torch.rand(1, 3, *SIZE)
    expected, weights = net(x)[0], len(list(net.parameters()))
    drop_unused_stages(net)
    torch.testing.assert_close(net(x)[0], expected)
    assert len(list(net.parameters())) < weights


def test_what_is_missing_is_said():
    inputs = torch.rand(2, 3, *SIZE)
    vit, convnext, swin = (BACKBONES[name] for name in ('VisionTransformer', 'ConvNeXt', 'SwinTransformer'))
    for backbone, channels, *_ in (vit, convnext):
        with pytest.raises(ValueError, match="FeatureMapNeck .*out_type='featmap'.*gap_before_final_norm=False"):
            map_model(backbone, channels, (8, 4)).extract_feat(inputs)
    with pytest.raises(AssertionError, match='pad_small_map'):  # MMPretrain's own words
        embedding_model({**swin[0], 'pad_small_map': False}, swin[1]).extract_feat(inputs)
    with pytest.raises(ValueError, match=' 64 .*in_channels=768.*model.neck.in_channels'):
        embedding_model(swin[0], 768).extract_feat(inputs)
    with pytest.raises(ValueError, match=r'8x4.*24x8.*model.matcher.size=\(8, 4\)'):
        map_model({**vit[0], **vit[2]}, 16, (24, 8)).matcher(torch.rand(1, 8, 8, 4), torch.rand(1, 8, 8, 4))


def test_names_without_a_prefix_are_ours():
    assert [MODELS.get(cls.__name__) for cls in (OSNet, ResNetIBN, ResNetNL, VisionTransformer)] == [
        *(OSNet, ResNetIBN, ResNetNL, VisionTransformer)
    ]
