# Copyright (c) mmreid contributors. All rights reserved.
"""Losses and their gradients against fast-reid, torchreid, CM-NAS, AGW and the strong baseline (tests/data/golden)."""

from pathlib import Path

import numpy as np
import pytest
import torch
from golden_networks import assert_near

from mmreid.models import (
    CenterLoss,
    CircleLoss,
    PairwiseCosFaceLoss,
    SquaredDifferenceTripletLoss,
    TripletLoss,
    WeightedTripletLoss,
)
from mmreid.registry import MODELS

GOLDEN = Path(__file__).parents[1] / 'data' / 'golden'
CLASSIFICATION = np.load(GOLDEN / '08_loss_classification.npz')
METRIC = np.load(GOLDEN / '08_loss_metric.npz')
VISIBLE_INFRARED = np.load(GOLDEN / '11_vi_losses.npz')


def compare(loss, data, inputs, case, tolerance=1e-4):
    x = torch.from_numpy(data[inputs]).requires_grad_()
    value = loss(x, torch.from_numpy(data['targets']))
    value.backward()
    assert_near(value, data[f'{case}.loss'], tolerance)
    assert_near(x.grad, data[f'{case}.grad'], tolerance)


@pytest.mark.parametrize('eps', ['0', '0.1', '0.3'])
@pytest.mark.parametrize('peer', ['fastreid', 'torchreid', 'cmnas'])
def test_label_smoothing_of_each_convention(peer, eps):
    spread = 'others' if peer == 'fastreid' else 'all'
    loss = dict(type='SmoothedCrossEntropyLoss', label_smooth_val=float(eps), spread=spread)
    compare(MODELS.build(loss), CLASSIFICATION, 'logits', f'{peer}_ce_eps{eps}', 1e-6)


@pytest.mark.parametrize('peer', ['torchreid', 'cmnas'])
def test_label_smoothing_of_mmpretrain_is_that_over_all_classes(peer):
    loss = dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original')
    compare(MODELS.build(loss), CLASSIFICATION, 'logits', f'{peer}_ce_eps0.1', 1e-6)


def test_adaptive_label_smoothing():
    loss = MODELS.build(dict(type='SmoothedCrossEntropyLoss', spread='others', adaptive=0.2))
    compare(loss, CLASSIFICATION, 'logits', 'fastreid_ce_adaptive_eps-1_alpha0.2', 1e-6)


def test_focal_loss():
    loss = MODELS.build(dict(type='FocalLoss', alpha=0.25, gamma=2.0))
    compare(loss, CLASSIFICATION, 'logits', 'fastreid_focal_a0.25_g2', 1e-6)


@pytest.mark.parametrize('hard', [True, False])
@pytest.mark.parametrize('normalize', [True, False])
@pytest.mark.parametrize('margin', [0.3, None])
def test_triplet_of_fastreid(margin, normalize, hard):
    kind = TripletLoss if hard else WeightedTripletLoss
    loss = kind(margin=margin, normalize=normalize, squared=normalize)
    compare(loss, METRIC, 'embedding', f'fastreid_triplet_m{margin or 0}_norm{normalize:d}_hard{hard:d}')


@pytest.mark.parametrize('case, margin', [('torchreid_triplet_m0.3', 0.3), ('torchreid_triplet_m1', 1.0)])
def test_triplet_of_torchreid(case, margin):
    compare(TripletLoss(margin=margin), METRIC, 'embedding', case)


def test_triplet_and_weighted_triplet_of_agw():
    compare(TripletLoss(margin=0.3), METRIC, 'embedding', 'agw_triplet_m0.3')
    compare(WeightedTripletLoss(), METRIC, 'embedding', 'agw_wrt')


@pytest.mark.parametrize('margin, gamma', [(0.25, 128), (0.35, 64)])
@pytest.mark.parametrize('name, kind', [('circle', CircleLoss), ('pairwise_cosface', PairwiseCosFaceLoss)])
def test_pairwise_losses_of_fastreid(name, kind, margin, gamma):
    compare(kind(margin=margin, gamma=gamma), METRIC, 'embedding', f'fastreid_{name}_m{margin}_g{gamma}')


@pytest.mark.parametrize('weight', [1.0, 5e-4])
def test_center_loss_of_the_strong_baseline(weight):
    """Also with a weight: there the gradient of the centers is divided by it before their step."""
    loss = CenterLoss(num_classes=20, channels=24, loss_weight=weight)
    with torch.no_grad():
        loss.centers.copy_(torch.from_numpy(METRIC['centers']))
    feats = torch.from_numpy(METRIC['embedding']).requires_grad_()
    value = loss(feats, torch.from_numpy(METRIC['center_targets']))
    value.backward()
    assert_near(value / weight, METRIC['center.loss'], 1e-4)
    assert_near(feats.grad / weight, METRIC['center.grad'], 1e-4)
    assert_near(loss.centers.grad, METRIC['center_grad_centers'], 1e-4)


@pytest.mark.parametrize('case', ['near', 'far', 'tiny', 'overlap'])
@pytest.mark.parametrize(
    ('name', 'loss'),
    [
        ('wrt', WeightedTripletLoss()),
        ('wrt_norm', WeightedTripletLoss(normalize=True)),
        ('hard_m0_3', TripletLoss(margin=0.3)),
        ('adp_a1_g2_s0', WeightedTripletLoss(gamma=2)),
        ('adp_a2_g1_s0', WeightedTripletLoss(alpha=2)),
        ('adp_a1_g1_s1', SquaredDifferenceTripletLoss()),
        ('adp_a2_g1_s1', SquaredDifferenceTripletLoss(alpha=2)),
        ('adp_a2_g2_s1', SquaredDifferenceTripletLoss(alpha=2, gamma=2)),
        ('adp_norm_a1_g1_s1', SquaredDifferenceTripletLoss(normalize=True)),
    ],
)
def test_triplet_losses_of_agw_and_caj(name, loss, case):
    """Two images of ``near`` are the same, the negatives of ``far`` do not count, and ``overlap`` is all wrong."""
    x = torch.from_numpy(VISIBLE_INFRARED[f'{case}/x']).requires_grad_()
    value = loss(x, torch.from_numpy(VISIBLE_INFRARED['labels']))
    value.backward()
    assert_near(value, VISIBLE_INFRARED[f'{case}/{name}/loss'], 2e-3)
    assert_near(x.grad, VISIBLE_INFRARED[f'{case}/{name}/grad'], 5e-3)


def test_without_a_bound_squared_gaps_of_any_size_have_a_gradient():
    x = torch.from_numpy(VISIBLE_INFRARED['far/x']).requires_grad_()
    labels = torch.from_numpy(VISIBLE_INFRARED['labels'])
    value = SquaredDifferenceTripletLoss(max_square=float('inf'))(x, labels)
    value.backward()
    assert value.isfinite() and value > 88 and x.grad.abs().max() > 1
    for wrong in (dict(margin=0.3), dict(max_square=0), dict(gamma=0)):
        with pytest.raises(ValueError, match='{}={}'.format(*next(iter(wrong.items())))):
            SquaredDifferenceTripletLoss(**wrong)
