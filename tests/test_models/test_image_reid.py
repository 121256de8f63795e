# Copyright (c) mmreid contributors. All rights reserved.
import pytest
import torch
from mmpretrain.models import GlobalAveragePooling

from mmreid.models import BNNeck, EuclideanMatcher, NeckFeatures, PixelReID, ReIDHead
from mmreid.registry import MODELS
from mmreid.structures import ReIDDataSample

MODEL = dict(
    type='ImageReID',
    backbone=dict(type='ResNet', depth=18, base_channels=4, strides=(1, 2, 2, 1), out_indices=(3,)),
    neck=dict(type='BNNeck', in_channels=32),
    head=dict(type='ReIDHead', in_channels=32, num_classes=3, loss_metric=dict(type='TripletLoss', margin=0.3)),
)


def build(**changes):
    cfg = {key: dict(value) if isinstance(value, dict) else value for key, value in MODEL.items()}
    for key, value in changes.items():
        cfg[key] = {**cfg[key], **value} if isinstance(value, dict) and isinstance(cfg.get(key), dict) else value
    return MODELS.build(cfg)


def data(labels=(0, 0, 1, 1), size=(64, 32)):
    samples = [
        ReIDDataSample(metainfo=dict(pid=10 + label, camid=i, sample_idx=i)).set_gt_label(label)
        for i, label in enumerate(labels)
    ]
    inputs = torch.randint(0, 256, (len(labels), 3, *size), dtype=torch.uint8)
    return dict(inputs=inputs, data_samples=samples)


def test_a_training_step_moves_every_trainable_weight():
    model = build()
    batch = model.data_preprocessor(data(), training=True)
    losses = model(**batch, mode='loss')
    total, logs = model.parse_losses(losses)
    total.backward()
    assert {'loss', 'loss_ce', 'loss_metric', 'acc', 'pos_dist', 'neg_dist', 'active_triplets', 'emb_dist'} <= set(logs)
    torch.testing.assert_close(total, losses['loss_ce'] + losses['loss_metric'])
    before = {name: value.clone() for name, value in model.named_parameters()}
    torch.optim.SGD(model.parameters(), lr=1.0).step()
    assert [name for name, value in model.named_parameters() if torch.equal(value, before[name])] == ['neck.bn.bias']


@pytest.mark.parametrize('neck', [{}, dict(type='EmbeddingNeck', out_channels=32)])
def test_what_no_loss_reaches_has_nothing_to_learn(neck):
    model = build(head=dict(loss_cls=None), neck=neck)
    losses = model(**model.data_preprocessor(data(), training=True), mode='loss')
    losses['loss_metric'].backward()
    assert not [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]


def test_a_plain_pooling_is_no_neck():
    model = build()
    model.neck = GlobalAveragePooling()
    with pytest.raises(TypeError, match='GlobalAveragePooling .*tuple.*BNNeck'):
        model(torch.zeros(2, 3, 64, 32))


def test_blended_identities_are_refused():
    with pytest.raises(ValueError, match='batch_augments .*Mixup, CutMix'):
        build(data_preprocessor=dict(batch_augments=dict(augments=[dict(type='Mixup', alpha=0.8)])))


def test_predict_puts_features_on_samples_and_tensor_gives_them():
    model = build()
    model.eval()
    batch = model.data_preprocessor(data())
    features = model(**batch, mode='tensor')
    assert features.shape == (4, 32)
    samples = model(**batch, mode='predict')
    torch.testing.assert_close(torch.stack([sample.feature for sample in samples]), features)
    with pytest.raises(ValueError, match="mode='train'"):
        model(**batch, mode='train')


def test_flip_test_adds_the_mirrored_image():
    model = build(flip_test=True)
    model.eval()
    batch = model.data_preprocessor(data())
    plain, mirrored = model.extract_feat(batch['inputs']), model.extract_feat(batch['inputs'].flip(3))
    features = torch.stack([sample.feature for sample in model(**batch, mode='predict')])
    torch.testing.assert_close(features, plain + mirrored)
    turned = dict(batch, inputs=batch['inputs'].flip(3))
    again = torch.stack([sample.feature for sample in model(**turned, mode='predict')])
    torch.testing.assert_close(again, features)


def test_test_feature_is_before_or_after_the_batch_norm():
    model = build(test_feat='before')
    model.eval()
    model.neck.bn.running_mean.fill_(1.0)
    inputs = model.data_preprocessor(data())['inputs']
    before = model.extract_feat(inputs)
    model.test_feat = 'after'
    after = model.extract_feat(inputs)
    torch.testing.assert_close(after, (before - 1) / (1 + model.neck.bn.eps) ** 0.5, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="test_feat='both'"):
        build(test_feat='both')


def test_without_class_count_there_is_no_classifier():
    model = build(head=dict(num_classes=None))
    assert not [name for name, _ in model.named_parameters() if name.startswith('head')]
    with pytest.raises(RuntimeError, match='classifier .*model.head.num_classes'):
        model(**model.data_preprocessor(data()), mode='loss')


def test_preprocessor_takes_both_collates_and_turns_to_rgb():
    model = build()
    stacked = data()
    listed = dict(stacked, inputs=list(stacked['inputs']))
    a, b = model.data_preprocessor(stacked), model.data_preprocessor(listed)
    torch.testing.assert_close(a['inputs'], b['inputs'])
    mean, std = torch.tensor([123.675, 116.28, 103.53]), torch.tensor([58.395, 57.12, 57.375])
    expected = (stacked['inputs'][0].flip(0).float() - mean[:, None, None]) / std[:, None, None]
    torch.testing.assert_close(a['inputs'][0], expected)
    listed['inputs'][0] = listed['inputs'][0][:, :-1]
    with pytest.raises(ValueError, match=r'\(3, 63, 32\), \(3, 64, 32\)'):
        model.data_preprocessor(listed)


def test_neck_pools_maps_passes_vectors_and_names_wrong_channels():
    neck = BNNeck(8, pool=dict(type='GeneralizedMeanPooling'), out_channels=5)
    assert [part.shape for part in neck((torch.rand(4, 8, 3, 2),))] == [(4, 5), (4, 5)]
    assert BNNeck(8)(torch.rand(4, 8)).before.shape == (4, 8)
    with pytest.raises(ValueError, match=' 6 .*in_channels=8'):
        neck(torch.rand(4, 6, 3, 2))


@pytest.mark.parametrize('convert', [lambda neck: neck, torch.nn.SyncBatchNorm.convert_sync_batchnorm])
def test_initial_scale_of_the_neck(convert):
    """By default 1; as the official CM-NAS code draws it with its init_cfg, also where ranks share statistics."""
    torch.manual_seed(0)
    official = dict(type='Normal', layer='_BatchNorm', mean=1.0, std=0.01)
    plain, drawn = (convert(BNNeck(2048, out_channels=512, init_cfg=cfg)) for cfg in (None, official))
    embed = drawn.embed.weight.clone()
    for neck in (plain, drawn):
        neck.init_weights()
        assert not neck.bn.bias.any() and not neck.bn.bias.requires_grad
    assert (plain.bn.weight == 1).all()
    assert abs(drawn.bn.weight.mean() - 1) < 0.002 and 0.009 < drawn.bn.weight.std() < 0.011
    assert not torch.equal(drawn.embed.weight, embed) and abs(drawn.embed.weight.std() - (2 / 512) ** 0.5) < 1e-3


def test_gem_pools_in_float32_under_autocast():
    neck = BNNeck(8, pool=dict(type='GeneralizedMeanPooling', p=3.0))
    neck.eval()
    x = torch.rand(2, 8, 3, 2)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        mixed = neck(x).before
    torch.testing.assert_close(mixed, neck(x).before)


def test_head_options():
    feats = NeckFeatures(torch.rand(4, 8), torch.rand(4, 8))
    labels = torch.tensor([0, 0, 1, 1])
    only_ce = ReIDHead(8, num_classes=2).loss(feats, labels)
    assert 'loss_metric' not in only_ce and only_ce['loss_ce'] > 0
    only_triplet = ReIDHead(8, loss_cls=None, loss_metric=dict(type='TripletLoss')).loss(feats, labels)
    assert 'loss_ce' not in only_triplet and only_triplet['loss_metric'] > 0
    with pytest.raises(ValueError, match='ReIDHead .*loss_cls .*loss_metric'):
        ReIDHead(8, loss_cls=None)
    with pytest.raises(ValueError, match="metric_feat='middle'"):
        ReIDHead(8, metric_feat='middle')


def test_label_smoothing_spreads_over_all_classes():
    head = ReIDHead(8, num_classes=5)
    feats = NeckFeatures(torch.rand(4, 8), torch.rand(4, 8))
    labels = torch.tensor([0, 1, 4, 2])
    expected = torch.nn.functional.cross_entropy(head.classifier(feats.after), labels, label_smoothing=0.1)
    torch.testing.assert_close(head.loss(feats, labels)['loss_ce'], expected)


def test_euclidean_matcher_is_higher_for_more_similar():
    scores = EuclideanMatcher()(torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, 1.0], [3.0, 4.0]]))
    torch.testing.assert_close(scores, torch.tensor([[-1.0, -25.0]]))


def test_pixels_compare_but_do_not_learn():
    model = PixelReID(size=(8, 4))
    batch = model.data_preprocessor(data())
    assert model(**batch, mode='tensor').shape == (4, 3 * 8 * 4)
    with pytest.raises(RuntimeError, match='PixelReID .*tools/test.py'):
        model(**batch, mode='loss')


def test_embedding_is_traceable():
    model = build()
    model.eval()
    inputs = torch.randn(2, 3, 64, 32)
    traced = torch.jit.trace(model, (inputs,))
    torch.testing.assert_close(traced(inputs), model(inputs))


@pytest.mark.parametrize(
    ('backbone', 'channels'),
    [
        (dict(type='RegNet', arch='regnetx_400mf'), 384),
        (dict(type='ResNeSt', depth=50, base_channels=16, stem_channels=16), 512),
        (dict(type='ConvNeXt', arch=dict(depths=[1, 1, 1, 1], channels=[8, 16, 24, 32])), 32),
        (dict(type='MobileNetV2', widen_factor=0.25), 1280),
        (
            dict(
                type='SwinTransformer',
                arch=dict(embed_dims=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2]),
                img_size=(64, 32),
                pad_small_map=True,
            ),
            64,
        ),
        (
            dict(
                type='VisionTransformer',
                arch=dict(embed_dims=16, num_layers=1, num_heads=2, feedforward_channels=32),
                img_size=(64, 32),
                patch_size=16,
            ),
            16,
        ),
    ],
    ids=lambda value: value['type'] if isinstance(value, dict) else '',
)
def test_any_backbone_of_mmpretrain_is_one_config_line(backbone, channels):
    model = MODELS.build(
        {
            **MODEL,
            'backbone': backbone,
            'neck': dict(type='BNNeck', in_channels=channels),
            'head': dict(type='ReIDHead', in_channels=channels, num_classes=3),
        }
    )
    model.train()
    losses = model(**model.data_preprocessor(data(), training=True), mode='loss')
    losses['loss_ce'].backward()
    grads = [p.grad for p in model.backbone.parameters() if p.grad is not None]
    assert losses['loss_ce'].isfinite() and sum(float(grad.abs().sum()) for grad in grads) > 0


@pytest.mark.parametrize(
    'outputs, found',
    [(torch.zeros(2, 33, 8), r'\(2, 33, 8\)'), ([(torch.zeros(2, 8),) * 2], ' 2 features')],
    ids=['tokens', 'two tokens'],
)
def test_neck_names_the_option_of_a_backbone_that_gives_tokens(outputs, found):
    neck = MODELS.build(dict(type='BNNeck', in_channels=8))
    with pytest.raises(ValueError, match=f"{found}.*out_type='cls_token'"):
        neck(outputs)


def test_stages_behind_the_last_output_are_left_out():
    short = build(backbone=dict(out_indices=(1,)), neck=dict(in_channels=8), head=dict(in_channels=8))
    assert short.extract_feat(torch.rand(2, 3, 64, 32)).shape == (2, 8)
    left_out = {name for name, _ in build().backbone.named_children()} - dict(short.backbone.named_children()).keys()
    assert left_out == {'layer3', 'layer4'}
