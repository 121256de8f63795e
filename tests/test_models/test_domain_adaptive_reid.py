# Copyright (c) mmreid contributors. All rights reserved.
"""Source and target through one network: separate batches, frozen stages, norms per domain, mixed precision."""

import pytest
import torch
import torch.nn.functional as F

from mmreid.models import InvarianceHead
from mmreid.registry import MODELS
from mmreid.structures import ReIDDataSample


def build(backbone=None, model=None, **head):
    torch.manual_seed(0)
    backbone = dict(dict(type='ResNet', depth=18, base_channels=4), **(backbone or {}))
    width = 32
    cfg = dict(
        type='DomainAdaptiveReID',
        backbone=backbone,
        neck=dict(type='EmbeddingNeck', in_channels=width, out_channels=16),
        head=dict(
            dict(type='InvarianceHead', in_channels=16, num_classes=3, memory=dict(type='ExemplarMemory', num_slots=9)),
            **head,
        ),
        **(model or {}),
    )
    return MODELS.build(cfg)


def batch(source=4, target=4):
    inputs = torch.randn(source + target, 3, 64, 32, generator=torch.Generator().manual_seed(1))
    inputs[source:] = inputs[source:] * 3 + 5  # the target looks otherwise
    samples = [ReIDDataSample().set_gt_label(i % 3) for i in range(source + target)]
    for slot, sample in enumerate(samples[source:]):
        sample.set_field(slot, 'slot')
    return inputs, samples


def test_each_domain_normalizes_its_own_batch():
    model = build().train()
    inputs, samples = batch()
    model(inputs, samples, mode='loss')
    seen = model.backbone.bn1.running_mean.clone()
    other = build().train()
    other.backbone(inputs[:4])
    other.backbone(inputs[4:])
    assert torch.equal(seen, other.backbone.bn1.running_mean)
    together = build().train()
    together.backbone(inputs)
    assert not torch.allclose(seen, together.backbone.bn1.running_mean, atol=1e-3)


def test_the_order_of_the_batch_does_not_matter():
    inputs, samples = batch()
    results = []
    for order in (list(range(8)), [4, 0, 5, 1, 6, 2, 7, 3]):
        model = build(dropout=0.0).train()
        results.append(model(inputs[order], [samples[i] for i in order], mode='loss'))
    assert set(results[0]) == {'loss_source', 'loss_target', 'acc', 'own_prob'}
    for key in results[0]:
        torch.testing.assert_close(results[0][key], results[1][key])


@pytest.mark.parametrize('live', [False, True])
def test_frozen_stages_and_the_norms_that_the_official_code_forgets(live):
    model = build(dict(frozen_stages=2), dict(live_shortcut_norms=live)).train()
    norms = {name: module for name, module in model.backbone.named_modules() if 'BatchNorm' in type(module).__name__}
    frozen = {name for name, module in norms.items() if not module.training}
    early = {name for name in norms if not name.startswith(('layer3', 'layer4'))}
    assert frozen == {name for name in early if not (live and 'downsample' in name)}
    assert not any(p.requires_grad for name, p in model.backbone.named_parameters() if name.startswith('layer2'))
    inputs, samples = batch()
    sum(value for key, value in model(inputs, samples, mode='loss').items() if 'loss' in key).backward()
    assert model.backbone.layer3[0].conv1.weight.grad.abs().sum() > 0
    model.eval()
    assert not any(module.training for module in norms.values())


def test_the_compared_feature_is_the_pooled_one_normalized():
    model = build(model=dict(matcher=dict(type='EuclideanMatcher'))).eval()
    inputs, _ = batch()
    feats = model(inputs)
    assert torch.equal(feats, F.normalize(model.backbone(inputs)[-1].mean((2, 3))))
    distance = model.matcher(feats[:2], feats[2:])
    torch.testing.assert_close(distance, 2 * feats[:2] @ feats[2:].t() - 2, rtol=1e-4, atol=1e-5)


def test_batch_norms_per_domain():
    """Statistics of the source go to one branch, those of the target to the other, which is what is tested."""
    model = build(dict(norm_cfg=dict(type='mmreid.BranchBN2d'))).train()
    inputs, samples = batch()
    model(inputs, samples, mode='loss')['loss_target'].backward()
    norm = model.backbone.layer1[0].bn1
    assert model.branches.names == ('source', 'target') and build().branches is None
    assert norm.source.num_batches_tracked == norm.target.num_batches_tracked == 1
    assert not torch.allclose(norm.source.running_mean, norm.target.running_mean, atol=1e-3)
    assert norm.target.weight.grad is not None and norm.source.weight.grad is None
    model.eval()
    with torch.no_grad():
        before = model(inputs)
        norm.source.weight.fill_(7.0)
        assert torch.equal(model(inputs), before)


def test_checkpoints_name_the_norms_by_domain():
    """And plain weights, as ImageNet's are, load into the norms of both."""
    model = build(dict(norm_cfg=dict(type='mmreid.BranchBN2d')))
    keys = set(model.backbone.state_dict())
    plain = build().backbone.state_dict()
    norms = {key.rpartition('.')[0] for key in plain if key.endswith('.running_mean')}
    expected = {key for key in plain if key.rpartition('.')[0] not in norms}
    for key in set(plain) - expected:
        layer, _, entry = key.rpartition('.')
        expected |= {f'{layer}.source.{entry}', f'{layer}.target.{entry}'}
    assert keys == expected and 'bn1.source.weight' in keys
    missing, unexpected = model.backbone.load_state_dict(plain)
    assert not missing and not unexpected
    loaded = model.backbone.state_dict()
    for key in keys:
        assert torch.equal(loaded[key], plain[key.replace('.source.', '.').replace('.target.', '.')]), key


def test_mixed_precision_keeps_memory_and_losses_in_float32():
    model = build().train()
    inputs, samples = batch()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        losses = model(inputs, samples, mode='loss')
    assert losses['loss_target'].dtype == losses['loss_source'].dtype == torch.float32
    (losses['loss_target'] + losses['loss_source']).backward()
    feats, slots = model.head.memory.take_pending()
    assert feats.dtype == torch.float32 and slots.tolist() == [0, 1, 2, 3]
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    assert grads and all(grad.isfinite().all() for grad in grads)


def test_without_a_memory_the_source_alone_is_learned():
    model = build(memory=None).train()
    inputs, samples = batch(source=4, target=0)
    assert set(model(inputs, samples, mode='loss')) == {'loss_source', 'acc'}
    inputs, samples = batch()
    with pytest.raises(RuntimeError, match='model.head.memory .*None'):
        model(inputs, samples, mode='loss')


def test_a_batch_of_one_domain_is_refused():
    inputs, samples = batch(source=4, target=0)
    with pytest.raises(ValueError, match=r"4 source .*0 target .*algorithm_keys=\('slot',\)"):
        build()(inputs, samples, mode='loss')


def test_a_step_without_an_update_is_refused():
    model = build().train()
    model(*batch(), mode='loss')
    with pytest.raises(RuntimeError, match='updated .*MemoryUpdateHook'):
        model(*batch(), mode='loss')


@pytest.mark.parametrize(
    ('backbone', 'width'),
    [
        (dict(type='ConvNeXt', arch=dict(depths=[1, 1, 1, 1], channels=[4, 8, 16, 32])), 32),
        (dict(type='MobileNetV2', widen_factor=0.1), 1280),
        (dict(type='VisionTransformer', img_size=(64, 32), patch_size=16, out_type='cls_token',
              arch=dict(embed_dims=16, num_layers=1, num_heads=2, feedforward_channels=32)), 16),
    ],
    ids=['ConvNeXt', 'MobileNetV2', 'VisionTransformer'],
)  # fmt: skip
def test_any_backbone(backbone, width):
    cfg = dict(
        type='DomainAdaptiveReID',
        backbone=backbone,
        neck=dict(type='EmbeddingNeck', in_channels=width, out_channels=16),
        head=dict(type='InvarianceHead', in_channels=16, num_classes=3,
                  memory=dict(type='ExemplarMemory', num_slots=9)),
    )  # fmt: skip
    model = MODELS.build(cfg).train()
    losses = model(*batch(), mode='loss')
    (losses['loss_source'] + losses['loss_target']).backward()
    assert sum(p.grad.abs().sum() for p in model.backbone.parameters() if p.grad is not None) > 0


class TestInvarianceHead:
    def head(self, **kwargs):
        head = InvarianceHead(4, memory=dict(type='ExemplarMemory', num_slots=5), **kwargs)
        head.memory.features = F.normalize(torch.randn(5, 4, generator=torch.Generator().manual_seed(0)))
        return head

    def targets(self, head, epoch=5, styled=None):
        own = torch.tensor([0, 3])
        head.start_epoch(epoch)
        return head.invariance.targets(head.memory.compare(head.memory.features[own]), own, styled)

    def test_neighbors_begin_with_the_sixth_epoch(self):
        head = self.head(invariance=dict(neighbors=dict(k=2)))
        assert self.targets(head, epoch=4)[0].shape == (2, 1)
        slots, weights = self.targets(head, epoch=5)
        assert slots[:, 0].tolist() == slots[:, 1].tolist() == [0, 3]  # the own slot is the nearest
        assert weights.tolist() == [[1.0, 0.0, 0.5], [1.0, 0.0, 0.5]]
        assert self.targets(self.head(invariance=dict(neighbors=None)))[0].shape == (2, 1)

    def test_targets_can_be_normalized(self):
        head = self.head(invariance=dict(neighbors=dict(k=2), normalize_targets=True))
        assert self.targets(head)[1].sum(1).tolist() == [1.0, 1.0]

    def test_exemplar_and_camera_can_be_switched_off(self):
        styled = torch.tensor([False, True])
        assert self.targets(self.head(invariance=dict(exemplar=False)), 0, styled)[1].tolist() == [[0.0], [1.0]]
        assert self.targets(self.head(invariance=dict(camera=False)), 0, styled)[1].tolist() == [[1.0], [0.0]]

    def test_losses_are_weighted_by_lambda(self):
        feats, slots = torch.randn(2, 4), torch.tensor([1, 2])
        full, part = (self.head(target_weight=w, dropout=0.0).eval() for w in (1.0, 0.3))
        expected = full.target_loss(feats, slots)['loss_target'] * 0.3
        torch.testing.assert_close(part.target_loss(feats, slots)['loss_target'], expected)

    def test_the_memory_gets_the_dropped_feature_or_the_clean_one(self):
        feats, slots = torch.randn(2, 4), torch.tensor([1, 2])
        for update_with in ('dropped', 'clean'):
            head = self.head(update_with=update_with).train()
            head.target_loss(feats, slots)
            zeros = (head.memory.take_pending()[0] == 0).any()
            assert zeros == (update_with == 'dropped')
            assert head.memory.take_pending() is None

    @pytest.mark.parametrize(
        ('wrong', 'message'),
        [
            (dict(target_weight=1.5), 'target_weight=1.5'),
            (dict(temperature=0.0), 'temperature=0.0'),
            (dict(invariance=dict(neighbors=dict(k=0))), 'k=0'),
            (dict(update_with='old'), "update_with='old'"),
            (dict(invariance=dict(exemplar=False, camera=False, neighbors=None)), 'camera=False, neighbors=None'),
        ],
    )
    def test_settings_without_sense_are_refused(self, wrong, message):
        with pytest.raises(ValueError, match=message):
            self.head(**wrong)
