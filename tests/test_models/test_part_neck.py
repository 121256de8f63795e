# Copyright (c) mmreid contributors. All rights reserved.
"""PartNeck and PartHead: stripes with an embedding and a classifier each."""

import pytest
import torch

from mmreid.models import NeckFeatures, PartHead, PartNeck, ReIDHead
from mmreid.registry import MODELS

from .test_image_reid import data

MODEL = dict(
    type='ImageReID',
    backbone=dict(type='ResNet', depth=18, base_channels=4, strides=(1, 2, 2, 1), out_indices=(3,)),
    neck=dict(type='PartNeck', in_channels=32, out_channels=8, num_parts=4),
    head=dict(type='PartHead', in_channels=8, num_parts=4, num_classes=3),
)


def test_a_config_line_makes_a_part_model_that_trains():
    model = MODELS.build(MODEL)
    model.init_weights()
    losses = model(**model.data_preprocessor(data(), training=True), mode='loss')
    total, logs = model.parse_losses(losses)
    total.backward()
    assert [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None] == []
    assert torch.equal(total, losses['loss_ce']) and 0 <= logs['acc'] <= 100 and 'emb_dist' in logs
    model.eval()
    batch = model.data_preprocessor(data())
    features = torch.stack([sample.feature for sample in model(**batch, mode='predict')])
    assert features.shape == (4, 4 * 8)
    assert model.matcher(features, features).shape == (4, 4)


def test_each_part_sees_its_own_stripe():
    neck = PartNeck(5, out_channels=3, num_parts=4).eval()
    x = torch.rand(2, 5, 10, 2)  # stripes of 3, 3, 2 and 2 rows
    before = neck((x,)).before.detach()
    for part, rows in enumerate((slice(0, 3), slice(3, 6), slice(6, 8), slice(8, 10))):
        changed = x.clone()
        changed[:, :, rows] += 1
        differs = (neck((changed,)).before - before).abs().view(2, 4, 3).amax((0, 2)) > 1e-6
        assert differs.tolist() == [i == part for i in range(4)]
        expected = neck.embed[part](x[:, :, rows].mean((2, 3)))
        torch.testing.assert_close(neck(x).before[:, 3 * part : 3 * part + 3], expected)


def test_parts_are_normalized_over_the_batch_one_by_one():
    neck = PartNeck(5, out_channels=3, num_parts=2)
    neck.embed[1].weight.data.mul_(100)
    after = neck(torch.rand(64, 5, 4, 2)).after
    torch.testing.assert_close(after.mean(0), torch.zeros(6), rtol=0, atol=1e-5)
    lengths = after.view(64, 2, 3).norm(dim=2).mean(0)
    torch.testing.assert_close(lengths[0], lengths[1], rtol=0.1, atol=0)  # so both count alike in a cosine


def test_gem_pools_stripes_in_float32_under_autocast():
    neck = PartNeck(5, out_channels=3, num_parts=2, pool=dict(type='GeneralizedMeanPooling', p=3.0)).eval()
    seen = []
    neck.pool.register_forward_hook(lambda pool, inputs, output: seen.append(output))
    x = torch.rand(2, 5, 4, 2)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        neck(x.bfloat16())
    assert [output.dtype for output in seen] == [torch.float32] * 2
    expected = x.bfloat16().float()[:, :, :2].pow(3).mean((2, 3)).pow(1 / 3)
    torch.testing.assert_close(seen[0].flatten(1), expected)


def test_losses_are_summed_over_parts_and_logs_averaged():
    options = dict(loss_metric=dict(type='TripletLoss', margin=0.3))
    head = PartHead(3, num_parts=2, num_classes=4, **options)
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    feats = NeckFeatures(torch.randn(6, 6), torch.randn(6, 6))
    results = head.loss(feats, labels)
    alone = []
    for i, part in enumerate(head.parts):
        single = ReIDHead(3, num_classes=4, **options)
        single.load_state_dict(part.state_dict())
        columns = slice(3 * i, 3 * i + 3)
        alone.append(single.loss(NeckFeatures(feats.before[:, columns], feats.after[:, columns]), labels))
    for key in ('loss_ce', 'loss_metric'):
        torch.testing.assert_close(results[key], alone[0][key] + alone[1][key])
    for key in ('acc', 'pos_dist', 'emb_dist'):
        torch.testing.assert_close(results[key], (alone[0][key] + alone[1][key]) / 2)
    assert not torch.equal(head.parts[0].classifier.weight, head.parts[1].classifier.weight)


def test_the_classifiers_of_parts_start_as_that_of_one_head():
    model = MODELS.build(MODEL)
    model.init_weights()
    deviations = [part.classifier.weight.std().item() for part in model.head.parts]
    assert len(deviations) == 4 and all(0 < deviation < 0.002 for deviation in deviations)


def test_the_whole_may_be_one_embedding():
    model = MODELS.build(dict(MODEL, head=dict(type='ReIDHead', in_channels=4 * 8, num_classes=3)))
    losses = model(**model.data_preprocessor(data(), training=True), mode='loss')
    assert losses['loss_ce'].isfinite()


def test_without_a_loss_behind_it_the_batch_norm_has_nothing_to_learn():
    head = dict(MODEL['head'], loss_cls=None, loss_metric=dict(type='TripletLoss'))
    model = MODELS.build(dict(MODEL, head=head))
    assert not model.neck.bn.weight.requires_grad


def test_what_does_not_fit_is_refused():
    neck = PartNeck(5, out_channels=3)
    with pytest.raises(ValueError, match=' 4x2.*num_parts=6'):
        neck(torch.rand(2, 5, 4, 2))
    with pytest.raises(ValueError, match=r"\(2, 5\), .*PartNeck .*out_type='featmap'"):
        neck(torch.rand(2, 5))
    with pytest.raises(ValueError, match=' 4 .*in_channels=5'):
        neck(torch.rand(2, 4, 12, 2))
    with pytest.raises(ValueError, match='num_parts=0 of PartNeck'):
        PartNeck(5, num_parts=0)
    feats = NeckFeatures(torch.rand(2, 6), torch.rand(2, 6))
    with pytest.raises(ValueError, match=' 6, .*num_parts=6 .*in_channels=3 .*18'):
        PartHead(3).loss(feats, torch.tensor([0, 1]))
