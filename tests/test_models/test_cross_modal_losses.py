# Copyright (c) mmreid contributors. All rights reserved.
"""Losses over two modalities, against the official CM-NAS code."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mmreid.models.heads import CrossModalHead
from mmreid.models.losses import (
    ClassMMDLoss,
    CorrelationConsistencyLoss,
    CrossModalTripletLoss,
    SquaredDifferenceTripletLoss,
)
from mmreid.models.necks import NeckFeatures

GOLDEN = Path(__file__).parents[1] / 'data' / 'golden'


def golden(name):
    return np.load(GOLDEN / f'{name}.npz')


def leaves(*arrays):
    return [torch.from_numpy(array.copy()).requires_grad_() for array in arrays]


def assert_near(found, expected, tolerance):
    expected = np.asarray(expected)
    error = np.abs(found.detach().numpy() - expected) / np.maximum(1, np.abs(expected))
    assert error.max() <= tolerance


@pytest.mark.parametrize('setting', ['m0.4_no', 'm0.4_yes', 'm0_no', 'm0_yes', 'm2_no', 'm2_yes', 'm-1_no', 'm-1_yes'])
def test_triplet_terms_and_gradients(setting):
    data = golden('03_cmnas_triplet')
    margin, normalize = setting[1:].split('_')
    visible, infrared = leaves(data[f'{setting}/feat_v'], data[f'{setting}/feat_t'])
    labels = torch.from_numpy(data['target'])
    loss = CrossModalTripletLoss(margin=None if margin == '-1' else float(margin), normalize=normalize == 'yes')
    assert_near(loss.terms(visible, infrared, labels, labels), data[f'{setting}/terms_vv_tt_vt_tv'], 2e-4)
    value = loss(visible, infrared, labels, labels)
    value.backward()
    assert_near(value, data[f'{setting}/loss'], 2e-4)
    assert_near(visible.grad, data[f'{setting}/grad_v'], 2e-4)
    assert_near(infrared.grad, data[f'{setting}/grad_t'], 2e-4)


def test_triplet_terms_of_labels_in_any_order():
    data = golden('03_cmnas_triplet_shuffled')
    labels = torch.from_numpy(data['target'])
    terms = CrossModalTripletLoss(margin=0.4).terms(*leaves(data['feat_v'], data['feat_t']), labels, labels)
    assert_near(terms, data['terms_vv_tt_vt_tv'], 2e-4)


def test_the_whole_objective_and_its_gradients():
    data = golden('03_cmnas_objective')
    labels = torch.from_numpy(data['target'])
    names = ('global_feat_v', 'global_feat_t', 'feat_v', 'feat_t', 'logits')
    before_v, before_t, after_v, after_t, logits = inputs = leaves(*(data[name] for name in names))
    terms = dict(
        ce=torch.nn.functional.cross_entropy(logits, torch.cat([labels, labels])),
        tri=CrossModalTripletLoss(margin=0.4)(before_v, before_t, labels, labels),
        sp=CorrelationConsistencyLoss(5.0)(after_v, after_t, labels, labels),
        cmmd=ClassMMDLoss(0.05)(after_v, after_t, labels, labels),
    )
    for name, value in terms.items():
        assert_near(value, data[f'loss_{name}'], 2e-4)
    total = sum(terms.values())
    assert_near(total, data['loss'], 2e-4)
    for found, name in zip(torch.autograd.grad(total, inputs), names, strict=True):
        assert_near(found, data[f'grad_{name.replace("feat_", "")}'], 2e-4)


def test_correlation_consistency_and_class_mmd_with_gradients():
    data = golden('03_cmnas_sp_cmmd_ce')
    labels = torch.arange(4).repeat_interleave(4)
    for name, loss in (('sp', CorrelationConsistencyLoss(1.0)), ('cmmd', ClassMMDLoss(1.0))):
        visible, infrared = leaves(data[f'{name}_feat_v'], data[f'{name}_feat_t'])
        value = loss(visible, infrared, labels, labels)
        value.backward()
        assert_near(value, data[f'{name}_loss'], 1e-6)
        assert_near(visible.grad, data[f'{name}_grad_v'], 1e-6)
        assert_near(infrared.grad, data[f'{name}_grad_t'], 1e-6)


@pytest.mark.parametrize(
    'loss', [ClassMMDLoss(1.0), CorrelationConsistencyLoss(1.0)], ids=lambda loss: type(loss).__name__
)
def test_mixed_precision_leaves_the_values_alone(loss):
    generator = torch.Generator().manual_seed(0)
    first = torch.randn(8, 32, generator=generator)
    parts = first, first + 0.1 * torch.randn(8, 32, generator=generator), *[torch.arange(8) // 2] * 2
    with torch.autocast('cpu', torch.bfloat16):
        mixed = loss(*parts)
    assert mixed.dtype == torch.float32 and torch.equal(mixed, loss(*parts)) and mixed > 0


def test_class_mmd_ignores_order_and_takes_unequal_counts():
    visible, infrared = torch.randn(6, 5), torch.randn(4, 5)
    v_labels, i_labels = torch.tensor([0, 0, 0, 1, 1, 2]), torch.tensor([0, 1, 1, 3])
    loss = ClassMMDLoss(1.0)
    value = loss(visible, infrared, v_labels, i_labels)
    shuffled = torch.tensor([4, 0, 5, 2, 1, 3])
    assert torch.allclose(value, loss(visible[shuffled], infrared, v_labels[shuffled], i_labels))
    v, i = (torch.nn.functional.normalize(x, dim=1).double() for x in (visible, infrared))

    def moment(x):
        return torch.einsum('na,nb->ab', x, x) / len(x)

    expected = [((moment(v[v_labels == c]) - moment(i[i_labels == c])) ** 2).sum() for c in (0, 1)]
    assert torch.allclose(value.double(), sum(expected) / 2, atol=1e-6)


def test_losses_of_batches_without_pairs_are_zero_with_a_graph():
    visible, infrared = torch.randn(2, 3, requires_grad=True), torch.randn(2, 3, requires_grad=True)
    for loss in (CrossModalTripletLoss(), ClassMMDLoss()):
        value = loss(visible, infrared, torch.tensor([0, 1]), torch.tensor([2, 3]))
        value.backward()
        assert value == 0


def test_correlation_consistency_refuses_rows_of_different_identities():
    with pytest.raises(ValueError, match='CorrelationConsistencyLoss .*CrossModalityInstanceSampler'):
        CorrelationConsistencyLoss.check(torch.tensor([0, 1]), torch.tensor([1, 0]))
    head = CrossModalHead(3, num_classes=2, weight_losses=('ce', 'correlation'), arch_losses=('ce', 'mmd'))
    head.check_labels(torch.tensor([0, 1, 0, 1]), 2)
    head.check_labels(torch.tensor([0, 1, 1]), 2, phase='arch')  # has no loss that compares rows
    with pytest.raises(ValueError, match='2 visible and 1 infrared .*CrossModalityInstanceSampler'):
        head.check_labels(torch.tensor([0, 1, 1]), 2)


def test_the_head_gives_a_triplet_loss_of_one_set_the_whole_batch():
    """With more visible than infrared embeddings, as with two views of each visible image."""
    loss = dict(type='mmreid.SquaredDifferenceTripletLoss')
    head = CrossModalHead(3, 3, loss_triplet=loss, loss_correlation=None, loss_mmd=None)
    feats, labels = torch.randn(9, 3), torch.tensor([0, 1, 2, 0, 1, 2, 0, 1, 2])
    results = head.loss(NeckFeatures(feats, feats), labels, num_visible=6)
    assert results['loss_triplet'] == SquaredDifferenceTripletLoss()(feats, labels)
    assert {name for name in results if 'loss' in name} == {'loss_ce', 'loss_triplet'}
