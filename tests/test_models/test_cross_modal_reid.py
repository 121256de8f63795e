# Copyright (c) mmreid contributors. All rights reserved.
"""The visible-infrared model: who belongs to which modality, and what may be done with it."""

import copy
import warnings

import pytest
import torch
from mmengine.config import Config
from mmengine.model import ExponentialMovingAverage, convert_sync_batchnorm
from mmengine.utils import digit_version
from warm_processes import run_ranks

from mmreid.engine.runners.reid_runner import ReIDRunner
from mmreid.models import CrossModalHead, NeckFeatures, branch_norms, pruned_state_dict
from mmreid.models.layers.recompute import register_checkpoint
from mmreid.structures import ReIDDataSample
from mmreid.utils.arch_io import Architecture, load_arch, save_arch, switch_line

from .modality_rank_work import ARCH, PHASES, STEMS, batch, build, gradients

# Modalities mixed; the n-th visible and the n-th infrared image show the same person, as the losses demand.
SHUFFLED = [11, 3, 0, 8, 13, 9, 5, 15, 1, 7, 2, 10, 6, 14, 4, 12]
SEARCHED = dict(mutator=dict(type='BNMutator'))
HEAD = dict(type='CrossModalHead', in_channels=32, num_classes=4)


def different_branches(model):
    """Makes the norms of the modalities differ, as training does."""
    torch.manual_seed(3)
    for norm in branch_norms(model.backbone).values():
        for branch in norm.branches:
            for tensor in branch.state_dict().values():
                if tensor.is_floating_point():
                    tensor.copy_(torch.rand_like(tensor) + 0.5)
    return model


def features(model, data, training=False):
    model.train(training)
    inputs = model.data_preprocessor(data, training=False)
    with torch.no_grad():
        return model(**inputs, mode='tensor')


@pytest.mark.parametrize('changes', [{}, SEARCHED], ids=['frozen', 'searched'])
def test_the_order_of_a_batch_does_not_matter(changes):
    model = different_branches(build(**changes))
    in_blocks, mixed = batch(), batch(order=SHUFFLED)
    torch.testing.assert_close(features(model, mixed), features(model, in_blocks)[SHUFFLED])
    model.train()
    expected = gradients(copy.deepcopy(model), in_blocks)
    found = gradients(model, mixed)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-3, atol=1e-4, msg=name)


def test_predict_puts_each_feature_on_its_image():
    model = different_branches(build())
    model.eval()
    mixed = batch(order=SHUFFLED)
    expected = features(model, batch())
    for sample, index in zip(model.val_step(mixed), SHUFFLED, strict=True):
        assert sample.sample_idx == index
        torch.testing.assert_close(sample.feature, expected[index])


@pytest.mark.parametrize('changes', [{}, SEARCHED], ids=['frozen', 'searched'])
def test_one_modality_alone_has_the_same_features(changes):
    """Query and gallery may come in batches of their own."""
    model = different_branches(build(**changes))
    both = features(model, batch())
    for rows in (slice(0, 8), slice(8, 16)):
        part = {key: value[rows] for key, value in batch().items()}
        torch.testing.assert_close(features(model, part), both[rows])
    relabeled = batch()
    for sample in relabeled['data_samples']:
        sample.set_field('visible', 'modality', field_type='metainfo')
    assert not torch.allclose(features(model, relabeled)[8:], both[8:])  # so the norms do differ


def test_every_trainable_weight_learns():
    for changes in ({}, SEARCHED):
        model = build(**changes).train()
        assert not [name for name, grad in gradients(model, batch()).items() if grad is None]


def test_what_has_no_modality_is_refused():
    model = build()
    inputs = torch.rand(2, 3, 64, 32)
    with pytest.raises(RuntimeError, match=r'set_blocks\(\).*visible, infrared'):
        model.extract_feat(inputs)
    for sample in (ReIDDataSample(), ReIDDataSample(metainfo=dict(img_path='a.jpg', modality='thermal'))):
        with pytest.raises(ValueError, match="modality=.*'visible' or 'infrared'"):
            model.extract_feat(inputs, [sample] * 2)
    model.extract_feat(inputs, [ReIDDataSample(metainfo=dict(modality='visible'))] * 2)
    with pytest.raises(RuntimeError, match=r'set_blocks\(\).*visible, infrared'):  # that of the last batch is not kept
        model.extract_feat(inputs)
    gradients(model, batch())
    with pytest.raises(RuntimeError, match=r'set_blocks\(\).*visible, infrared'):  # nor that of a training step
        model.extract_feat(torch.rand(16, 3, 64, 32))


def test_training_needs_both_modalities():
    data = {key: value[:8] for key, value in batch().items()}
    with pytest.raises(ValueError, match='8 images .*8 visible .*CrossModalityInstanceSampler'):
        gradients(build().train(), data)


def test_a_backbone_without_modality_norms_is_refused():
    with pytest.raises(ValueError, match='ResNet .*norm_cfg=.*BranchBN2d'):
        build(backbone=dict(norm_cfg=dict(type='BN')))


@pytest.mark.parametrize('changes', [{}, SEARCHED], ids=['frozen', 'searched'])
def test_gradient_checkpointing(changes):
    """The backward runs the forward again, when the modality must still be known."""
    plain, checkpointed = (different_branches(build(backbone=dict(with_cp=cp), **changes)) for cp in (False, True))
    expected, found = (gradients(model.train(), batch(order=SHUFFLED)) for model in (plain, checkpointed))
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, msg=name)


@pytest.mark.parametrize('changes', [{}, SEARCHED], ids=['frozen', 'searched'])
def test_each_checkpointed_forward_keeps_its_own_batch(changes):
    """Two forwards before one backward: the same images as 8 + 8, then as 4 + 12, and in a search by other paths."""
    found = []
    for with_cp in (False, True):
        torch.manual_seed(0)
        model = different_branches(
            build(backbone=dict(with_cp=with_cp), head=dict(HEAD, weight_losses=['ce']), **changes)
        )
        model.train()
        first, second = batch(), batch()
        for sample in second['data_samples'][4:8]:
            sample.set_field('infrared', 'modality', field_type='metainfo')
        losses = []
        for data in (first, second):
            if model.mutator is not None:
                model.mutator.sample(mixed=False)
            losses.append(model(**model.data_preprocessor(data, training=True), mode='loss')['loss_ce'])
        sum(losses).backward()
        found.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value, msg=name)


def test_a_backbone_may_ask_for_reentrant_checkpoints():
    register_checkpoint()
    model = different_branches(build()).train()
    expected, stage = gradients(model, batch(order=SHUFFLED)), model.backbone.layer3
    forward = stage.forward

    def checkpointed(x):
        return torch.utils.checkpoint.checkpoint(forward, x, use_reentrant=True)

    stage.forward = checkpointed
    found = gradients(model, batch(order=SHUFFLED))
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, msg=name)


@pytest.mark.parametrize('changes', [{}, SEARCHED], ids=['frozen', 'searched'])
def test_checkpoints_of_frozen_stages_warn_of_nothing(changes):
    plain, checkpointed = (build(backbone=dict(with_cp=cp, frozen_stages=1), **changes) for cp in (False, True))
    expected = gradients(plain.train(), batch())
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        found = gradients(checkpointed.train(), batch())
    assert 'backbone.conv1.weight' not in found
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, msg=name)


def test_a_checkpointed_forward_outside_of_loss_keeps_its_batch():
    """extract_feat forgets the modality when it ends; the backward comes later."""
    found = []
    for with_cp in (False, True):
        model = different_branches(build(backbone=dict(with_cp=with_cp))).train()
        model.extract_feat(**model.data_preprocessor(batch(order=SHUFFLED), training=True)).square().mean().backward()
        found.append({name: p.grad for name, p in model.backbone.named_parameters()})
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value, msg=name)


@pytest.mark.parametrize('changes', [{}, SEARCHED], ids=['frozen', 'searched'])
def test_autocast(changes):
    model = build(**changes).train()
    expected = gradients(copy.deepcopy(model), batch())
    with torch.autocast('cpu', torch.bfloat16):
        found = gradients(model, batch())
    for name, value in found.items():
        assert value.dtype == torch.float32 and value.isfinite().all(), name
    cosine = torch.cosine_similarity(
        *(torch.cat([g.flatten() for g in grads.values()]) for grads in (found, expected)), 0
    )
    assert cosine > 0.9


@pytest.mark.parametrize('changes', [{}, SEARCHED], ids=['frozen', 'searched'])
def test_batch_norms_over_ranks(changes):
    """What MMEngine does for ``sync_bn='torch'``. Such norms train on GPUs only, so features are compared."""
    model = different_branches(build(**changes))
    keys, expected = set(model.state_dict()), features(model, batch(order=SHUFFLED))
    count = sum(isinstance(module, torch.nn.BatchNorm2d) for module in model.modules())
    converted = convert_sync_batchnorm(model, 'torch')
    synced = [name for name, module in converted.named_modules() if isinstance(module, torch.nn.SyncBatchNorm)]
    assert len(synced) == count + 1 and 'neck.bn' in synced  # all branches, and the norm of the neck
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in converted.modules())
    assert set(converted.state_dict()) == keys  # so checkpoints go both ways
    norms = branch_norms(converted.backbone)
    assert all(norm.context is converted.branches for norm in norms.values())
    if converted.mutator is not None:  # it still mixes the norms that run
        converted.mutator.mix()
        assert all(converted.mutator._norms[name] is norm and norm.weights is not None for name, norm in norms.items())
        assert not [key for key in pruned_state_dict(converted) if '.visible.' in key]  # equal logits choose share
    torch.testing.assert_close(features(converted, batch(order=SHUFFLED)), expected)


@pytest.mark.parametrize('changes', [{}, SEARCHED], ids=['frozen', 'searched'])
def test_copies_and_moving_averages_work_for_themselves(changes):
    model = different_branches(build(**changes)).train()
    gradients(model, batch())
    expected = features(model, batch())
    for copied in (copy.deepcopy(model), ExponentialMovingAverage(model, update_buffers=True).module):
        assert all(norm.context is copied.branches for norm in branch_norms(copied.backbone).values())
        torch.testing.assert_close(features(copied, batch()), expected)


@pytest.mark.long
@pytest.mark.slow
def test_compiled_models_give_the_same():
    model = different_branches(build()).eval()
    samples, inputs = batch(order=SHUFFLED)['data_samples'], torch.rand(16, 3, 64, 32)
    with torch.no_grad():
        expected = model.extract_feat(inputs, samples)
        model.backbone = torch.compile(model.backbone, backend='aot_eager')
        torch.testing.assert_close(model.extract_feat(inputs, samples), expected, rtol=1e-4, atol=1e-5)
        half = model.extract_feat(inputs[:8], samples[:8])  # another batch is not computed as the last one
    torch.testing.assert_close(half, expected[:8], rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(
    digit_version(torch.__version__) < digit_version('2.7'),
    reason='torch 2.6 fails beside onnxscript 0.7',
)
@pytest.mark.parametrize('modality', ['visible', pytest.param('infrared', marks=pytest.mark.long)])
def test_onnx_export_of_a_modality(modality, tmp_path):
    pytest.importorskip('onnxscript')
    runtime = pytest.importorskip('onnxruntime')
    model = different_branches(build()).eval()
    model.branches.set_only(modality)
    inputs = torch.rand(4, 3, 64, 32)
    path = str(tmp_path / 'model.onnx')
    dynamic = ({0: torch.export.Dim('batch')}, None, None)
    torch.onnx.export(model, (inputs, None, 'tensor'), path, dynamo=True, dynamic_shapes=dynamic, verbose=False)
    session = runtime.InferenceSession(path, providers=['CPUExecutionProvider'])
    samples = [ReIDDataSample(metainfo=dict(modality=modality))] * 4
    expected = model.extract_feat(inputs, samples).detach()
    name = session.get_inputs()[0].name
    torch.testing.assert_close(
        torch.from_numpy(session.run(None, {name: inputs.numpy()})[0]), expected, rtol=1e-3, atol=1e-4
    )
    one = session.run(None, {name: inputs[:1].numpy()})[0]
    torch.testing.assert_close(torch.from_numpy(one), expected[:1], rtol=1e-3, atol=1e-4)


def test_initial_weights_are_equal_and_trained_ones_stay(tmp_path):
    model = build(arch='split', backbone=dict(zero_init_residual=True))
    for name, norm in branch_norms(model.backbone).items():
        assert torch.equal(norm.visible.weight, norm.infrared.weight)
        assert norm.infrared.weight.any() != (name.startswith('layer') and name.endswith('bn2')), name
    different_branches(model)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'trained.pth')
    pretrained = dict(type='Pretrained', checkpoint=str(tmp_path / 'trained.pth'), prefix='backbone')
    again = build(arch='split', backbone=dict(init_cfg=pretrained))
    torch.testing.assert_close(again.backbone.state_dict(), model.backbone.state_dict())


def test_architecture_files(tmp_path):
    chosen = build().arch
    assert chosen['bn1'] == chosen['layer3.0.bn1'] == 'split' and chosen['layer1.0.bn1'] == 'share'
    save_arch(tmp_path / 'arch.json', Architecture(chosen))
    assert build(arch=str(tmp_path / 'arch.json')).arch == chosen
    (tmp_path / 'line.cfg').write_text(switch_line(chosen))
    assert build(arch=str(tmp_path / 'line.cfg')).arch == chosen
    (tmp_path / 'line.cfg').write_text('0 ' * 22)
    with pytest.raises(ValueError, match='line.cfg .*22 .* 20 '):
        build(arch=str(tmp_path / 'line.cfg'))
    with pytest.raises(FileNotFoundError, match='file shared.*arch.json'):
        build(arch='shared')
    save_arch(tmp_path / 'other.json', Architecture({'bn1': 'split', 'layer7.0.bn1': 'share'}))
    with pytest.raises(ValueError, match='layer7.0.bn1; .*layer1.0.bn1, .*layer4'):
        build(arch=str(tmp_path / 'other.json'))


def test_the_runner_puts_an_architecture_file_into_the_config(tmp_path):
    """So that a checkpoint, which holds its config, needs no other file."""
    chosen = build().arch
    save_arch(tmp_path / 'arch.json', Architecture(chosen))
    cfg = Config(
        dict(
            model=dict(
                type='CrossModalReID',
                backbone=dict(
                    type='ResNet', depth=18, stem_channels=4, base_channels=4, norm_cfg=dict(type='mmreid.BranchBN2d')
                ),
                neck=dict(type='BNNeck', in_channels=32),
                head=dict(type='CrossModalHead', in_channels=32, num_classes=4),
                arch=str(tmp_path / 'arch.json'),
            ),
            default_scope='mmreid',
            work_dir=str(tmp_path / 'run'),
            experiment_name='architecture_file',
        )
    )
    runner = ReIDRunner.from_cfg(cfg)
    assert runner.cfg.model.arch == chosen == runner.model.arch
    dumped = Config.fromstring(runner.cfg.pretty_text, '.py')
    assert build(arch=dict(dumped.model.arch)).arch == load_arch(tmp_path / 'arch.json').norms


def test_losses_of_one_phase_are_untouched_by_what_the_other_needs():
    """The zeros that stand in for unused parameters change no loss, and no key is added."""
    torch.manual_seed(0)
    feats = NeckFeatures(torch.randn(16, 32, requires_grad=True), torch.randn(16, 32, requires_grad=True))
    labels = torch.arange(16) % 8 // 2
    both = CrossModalHead(32, 4, weight_losses=('ce', 'triplet'), arch_losses=('triplet',))
    alone = CrossModalHead(32, 4, weight_losses=('triplet',), arch_losses=('triplet',))
    found, expected = both.loss(feats, labels, 8, 'arch'), alone.loss(feats, labels, 8, 'weights')
    assert found.keys() == expected.keys() and torch.equal(found['loss_triplet'], expected['loss_triplet'])
    assert both.classifier is not None and alone.classifier is None
    assert alone.only_before and not both.only_before


@pytest.mark.dist
@pytest.mark.slow
def test_two_ranks_need_no_leave_for_unused_parameters(tmp_path):
    run_ranks(2, 'tests/test_models/modality_rank_work.py', tmp_path / 'out.pth')
    results = torch.load(tmp_path / 'out.pth', weights_only=True)
    for name, changes in dict(frozen={}, searched=SEARCHED, stems=STEMS).items():
        assert results[name]['replicas_equal']
        model = build(**changes)
        alone = []
        for seed in (2, 3):
            alone.append({key: grad.clone() for key, grad in gradients(model.train(), batch(seed)).items()})
        for key, grad in results[name]['grads'].items():
            torch.testing.assert_close(grad, (alone[0][key] + alone[1][key]) / 2, rtol=1e-4, atol=1e-5, msg=key)
    for name in PHASES:  # the last step was one of the architecture, whose losses leave these alone
        grads = results[name]['grads']
        assert results[name]['replicas_equal'] and grads['mutator.logits'].any()
        assert ('head.classifier.weight' in grads) == (name == 'classifier_in_weights')
        assert ('neck.bn.weight' in grads) == (name != 'neither')
    assert not results['classifier_in_weights']['grads']['head.classifier.weight'].any()
    assert not results['classifier_in_weights']['grads']['neck.bn.weight'].any()
    assert results['neck_in_arch']['grads']['neck.bn.weight'].any()


def test_the_split_norms_are_those_that_were_asked_for():
    model = build()
    assert {name for name, norm in branch_norms(model.backbone).items() if norm.mode == 'split'} == {
        name for name in model.arch if name == 'bn1' or name.startswith('layer3')
    }
    assert set(ARCH) == {'*', 'bn1', 'layer3.*'}
