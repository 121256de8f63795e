# Copyright (c) mmreid contributors. All rights reserved.
import pytest
import torch
from warm_processes import run_ranks

from mmreid.models import FeatureMapNeck, PairwiseHead, drop_unused_stages
from mmreid.registry import MODELS
from mmreid.utils.load_report import load_weights

from .pairwise_rank_work import BACKBONE, batch, build, config, train

BACKBONES = {
    'ResNet': (dict(type='ResNet', depth=18, stem_channels=4, base_channels=4, out_indices=(2,)), 16),
    'ResNetIBN-a': (dict(BACKBONE, ibn='a'), 16),
    'ResNetIBN-b': (dict(BACKBONE, ibn='b'), 16),
    'Swin': (
        dict(
            type='SwinTransformer',
            arch=dict(embed_dims=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2]),
            img_size=(64, 32),
            pad_small_map=True,
            out_indices=(2,),
        ),
        32,
    ),
    'ConvNeXt': (
        dict(
            type='ConvNeXt',
            arch=dict(depths=[1, 1, 1, 1], channels=[4, 8, 16, 32]),
            out_indices=(2,),
            gap_before_final_norm=False,
        ),
        16,
    ),
    'ViT': (
        dict(
            type='VisionTransformer',
            arch=dict(embed_dims=16, num_layers=1, num_heads=2, feedforward_channels=32),
            img_size=(64, 32),
            patch_size=16,
            out_type='featmap',
        ),
        16,
    ),
}


def losses_of(model, data=None):
    return model(**model.data_preprocessor(data or batch(), training=True), mode='loss')


@pytest.mark.parametrize('name', list(BACKBONES))
def test_any_backbone_that_gives_a_map_trains_whole(name):
    """Every weight gets a gradient, which distributed training needs."""
    backbone, channels = BACKBONES[name]
    model = build(backbone=backbone, neck=dict(type='FeatureMapNeck', in_channels=channels, out_channels=8))
    model.init_weights()
    model.train()
    total, logs = model.parse_losses(losses_of(model))
    total.backward()
    assert total.isfinite()
    assert [key for key, value in model.named_parameters() if value.requires_grad and value.grad is None] == []
    assert {'loss_score', 'loss_memory', 'acc', 'pos_score', 'neg_score', 'active_triplets', 'emb_dist'} <= set(logs)


def test_prediction_puts_normalized_maps_on_samples_and_the_matcher_scores_them():
    model = build().eval()
    samples = model(**model.data_preprocessor(batch()), mode='predict')
    maps = torch.stack([sample.feature for sample in samples])
    assert maps.shape == (8, 8, 4, 2)
    torch.testing.assert_close(maps.norm(dim=1), torch.ones(8, 4, 2))
    scores = model.matcher(maps, maps)
    assert scores.shape == (8, 8)
    torch.testing.assert_close(scores, scores.t())


def test_the_backbones_norms_keep_their_statistics_but_learn():
    for frozen in (True, False):
        model = build(backbone_norm_eval=frozen)
        model.eval()
        model.train()
        before = {key: value.clone() for key, value in model.state_dict().items()}
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        model.parse_losses(losses_of(model))[0].backward()
        optimizer.step()
        changed = {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
        assert ('backbone.layer3.0.bn1.running_mean' in changed) is not frozen
        assert {'backbone.layer3.0.bn1.weight', 'matcher.bn.running_mean', 'matcher.fc.weight'} <= changed


def test_stages_without_use_are_gone_and_a_checkpoint_with_them_loads():
    whole = MODELS.build(dict(BACKBONE, out_indices=(3,)))
    model = build()
    assert not hasattr(model.backbone, 'layer4') and model.backbone.res_layers == ['layer1', 'layer2', 'layer3']
    report = load_weights(model.backbone, dict(whole.state_dict(), **{'fc.weight': torch.zeros(10, 32)}))
    assert not report.missing and not report.reshaped
    assert all(key.startswith(('layer4.', 'fc.')) for key in report.unused) and report.unused
    inputs = torch.rand(2, 3, 64, 32)
    whole.eval()
    whole.out_indices = (2,)
    torch.testing.assert_close(model.eval().backbone(inputs)[0], whole(inputs)[0])


def test_a_negative_index_counts_from_the_end():
    backbone = MODELS.build(dict(BACKBONES['Swin'][0], out_indices=(3,)))
    backbone.out_indices = (-2,)
    drop_unused_stages(backbone)
    assert len(backbone.stages) == 3


def test_mixed_precision_keeps_maps_and_scores_in_float32():
    model = build()
    model.train()
    plain = {key: float(value.detach()) for key, value in losses_of(model).items()}
    with torch.autocast('cpu', dtype=torch.bfloat16):
        maps = model.extract_feat(model.data_preprocessor(batch())['inputs'])
        losses = losses_of(model)
    assert maps.dtype == torch.float32 and all(value.dtype == torch.float32 for value in losses.values())
    assert float(losses['loss_score'].detach()) == pytest.approx(plain['loss_score'], rel=0.1)


@pytest.mark.parametrize('loss_score', [None, dict(type='PairwiseMatchingLoss')])
def test_a_resumed_model_goes_on_as_if_never_stopped(loss_score):
    """With the memory alone, and beside a loss on scores; the last step's maps are part of the state."""
    head = dict(config()['head'], loss_score=loss_score)

    def steps(model, count):
        model.train()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(count):
            optimizer.zero_grad()
            losses = losses_of(model)
            model.parse_losses(losses)[0].backward()
            optimizer.step()
        assert ('loss_score' in losses) is (loss_score is not None) and losses['loss_memory'] > 0
        return model

    model = steps(build(head=head), 2)
    resumed = build(head=head)
    resumed.load_state_dict(model.state_dict())
    expected, found = steps(model, 1).state_dict(), steps(resumed, 1).state_dict()
    assert all(torch.equal(found[key], value) for key, value in expected.items())


def test_the_memory_is_built_for_training_only():
    head = config()['head']
    model = build(head=dict(head, num_classes=None))
    assert model.head.loss_memory is None
    with pytest.raises(RuntimeError, match='class memory.*model.head.num_classes'):
        losses_of(model)
    report = load_weights(model, build().state_dict())
    assert report.is_complete and all(key.startswith('head.loss_memory') for key in report.unused)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match='flip_test=True .*PairwiseReID'):
        build(flip_test=True)
    with pytest.raises(ValueError, match='PairwiseHead .*loss_score .*loss_memory'):
        PairwiseHead(loss_score=None)
    with pytest.raises(ValueError, match='CosineMatcher .*PairwiseReID .*QAConvMatcher'):
        build(matcher=dict(type='CosineMatcher'))
    vectors = dict(BACKBONES['ViT'][0], out_type='cls_token')
    with pytest.raises(ValueError, match=r"\(8, 16\), .*FeatureMapNeck .*out_type='featmap'"):
        losses_of(build(backbone=vectors))
    with pytest.raises(ValueError, match=' 16 .*in_channels=32.*model.neck.in_channels'):
        losses_of(build(neck=dict(type='FeatureMapNeck', in_channels=32)))


def test_neck_options():
    x = torch.randn(2, 6, 3, 2)
    torch.testing.assert_close(FeatureMapNeck(6, out_channels=None)(x), torch.nn.functional.normalize(x))
    neck = FeatureMapNeck(6, out_channels=4, norm_cfg=dict(type='BN'))
    assert neck((x,)).shape == (2, 4, 3, 2)
    assert sorted(key for key, _ in neck.named_parameters()) == ['conv.weight', 'norm.bias', 'norm.weight']


@pytest.mark.dist
@pytest.mark.slow
def test_two_ranks_train_as_one(tmp_path):
    """With gradient over ranks, the same memory on both, and without leave for unused parameters."""
    run_ranks(2, 'tests/test_models/pairwise_rank_work.py', tmp_path / 'out.pth')
    found, expected = torch.load(tmp_path / 'out.pth', weights_only=True), train()
    assert found['replicas_equal'] and expected['head.loss_memory.valid_class'].tolist() == [True, True, True, False]
    start = build().state_dict()
    for key, value in expected.items():
        torch.testing.assert_close(found['state'][key], value, rtol=1e-5, atol=1e-5, msg=key)
    assert not torch.equal(expected['matcher.fc.weight'], start['matcher.fc.weight'])
