# Copyright (c) mmreid contributors. All rights reserved.
"""Losses on pairs and centers: their definitions, and batches that are hard to deal with."""

import pytest
import torch
import torch.nn.functional as F
from warm_processes import run_ranks

from mmreid.models import CenterLoss, CircleLoss, FocalLoss, PairwiseCosFaceLoss, TripletLoss, WeightedTripletLoss
from mmreid.models.losses import SmoothedCrossEntropyLoss

from .pair_loss_rank_work import LOSSES, MODALITY_LOSSES, gradients, gradients_of_modalities

PAIR_LOSSES = dict(
    hinge=TripletLoss(),
    soft=TripletLoss(margin=None),
    squared=TripletLoss(normalize=True, squared=True),
    weighted=WeightedTripletLoss(),
    weighted_exact=WeightedTripletLoss(eps=0.0),
    circle=CircleLoss(),
    cosface=PairwiseCosFaceLoss(),
)
EACH = pytest.mark.parametrize('loss', PAIR_LOSSES.values(), ids=PAIR_LOSSES)


def batch(ids=(0, 0, 0, 1, 1, 2, 2, 2), dim=5, scale=1.0):
    feats = scale * torch.randn(len(ids), dim, generator=torch.Generator().manual_seed(0))
    return feats.requires_grad_(), torch.tensor(ids)


def slow_weighted_triplet(feats, labels):
    losses = []
    for i in range(len(feats)):
        distance = (feats[i] - feats).norm(dim=1)
        near, far = distance[labels != labels[i]], distance[labels == labels[i]]
        if len(far) > 1 and len(near):
            gap = (F.softmax(far, 0) * far).sum() - (F.softmax(-near, 0) * near).sum()
            losses.append(torch.log1p(gap.exp()))
    return sum(losses) / len(losses)


def slow_circle(feats, labels, m=0.25, gamma=128):
    losses = []
    for i in range(len(feats)):
        pull, push = [], []
        for j in range(len(feats)):
            s = F.cosine_similarity(feats[i], feats[j], dim=0)
            if labels[i] != labels[j]:
                push.append(gamma * max(s.item() + m, 0) * (s - m))
            elif i != j:
                pull.append(-gamma * max(1 + m - s.item(), 0) * (s - (1 - m)))
        if pull and push:
            losses.append(F.softplus(torch.stack([p + n for p in pull for n in push]).logsumexp(0)))
    return sum(losses) / len(losses)


@pytest.mark.parametrize('ids', [(0, 0, 0, 1, 1, 2, 2, 2), (0, 1, 2, 2)])
@pytest.mark.parametrize(
    'loss, slow', [(WeightedTripletLoss(eps=0.0), slow_weighted_triplet), (CircleLoss(), slow_circle)]
)
def test_equals_its_definition_also_with_identities_of_one_image(loss, slow, ids):
    feats, labels = batch(ids)
    found, expected = loss(feats, labels), slow(feats, labels)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    found, expected = (torch.autograd.grad(value, feats)[0] for value in (found, expected))
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def test_without_eps_the_weighted_triplet_sees_negatives_at_any_distance():
    feats, labels = batch(scale=100.0)
    distance = torch.cdist(feats, feats)
    gap = distance.masked_fill(labels[:, None] != labels, 0).amax(1)
    assert WeightedTripletLoss()(feats, labels).item() == pytest.approx(
        gap.mean().item(), rel=1e-3
    )  # no negative counts
    exact = WeightedTripletLoss(eps=0.0)(feats, labels)
    torch.testing.assert_close(exact, TripletLoss(margin=None)(feats, labels), rtol=1e-3, atol=1e-3)


def test_squared_distances_of_unit_embeddings_are_two_minus_two_cosines():
    feats, labels = batch((0, 0, 1))
    cosine = F.normalize(feats, dim=1) @ F.normalize(feats, dim=1).t()
    gaps = 2 * torch.stack([cosine[0, 2] - cosine[0, 1], cosine[1, 2] - cosine[0, 1]])
    found = TripletLoss(margin=0.3, normalize=True, squared=True)(feats, labels)
    torch.testing.assert_close(found, F.relu(gaps + 0.3).mean())


def test_margin_0_is_a_hinge_and_none_is_soft():
    feats, labels = batch()
    gap = 2.0
    feats = torch.tensor([[0.0], [3.0], [1.0]])  # the positive 3 away, the negative 1
    assert TripletLoss(margin=0)(feats, torch.tensor([0, 0, 1])).item() == pytest.approx((gap + 1) / 2, abs=1e-4)
    soft = (F.softplus(torch.tensor(gap)) + F.softplus(torch.tensor(1.0))) / 2
    torch.testing.assert_close(TripletLoss(margin=None)(feats, torch.tensor([0, 0, 1])), soft, rtol=1e-4, atol=1e-4)


@EACH
@pytest.mark.parametrize('ids', [(1, 1, 1), (0, 1, 2), (3,)], ids=['no negative', 'no positive', 'one image'])
def test_without_any_pair_to_compare_it_is_zero_with_a_graph(loss, ids):
    feats, labels = batch(ids)
    value = loss(feats, labels)
    value.backward()
    assert value.item() == 0 and feats.grad.abs().sum() == 0


@EACH
@pytest.mark.parametrize('scale', [1e-4, 1.0, 1e4])
def test_gradient_is_finite_with_equal_zero_and_huge_embeddings(loss, scale):
    feats, labels = batch(scale=scale)
    with torch.no_grad():
        feats[1] = feats[0]  # a positive that is equal
        feats[3] = feats[0]  # and a negative
        feats[5] = 0
    loss(feats, labels).backward()
    assert feats.grad.isfinite().all() and feats.grad.any()


@EACH
@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_runs_in_float32_under_autocast(loss, dtype):
    feats, labels = batch()
    feats = feats.detach().to(dtype).requires_grad_()
    expected = loss(feats.float(), labels)
    with torch.autocast('cpu', dtype=dtype):
        value = loss(feats, labels)
    value.backward()
    torch.testing.assert_close(value, expected)
    assert value.dtype == torch.float32 and feats.grad.isfinite().all()


@pytest.mark.parametrize('loss', [FocalLoss(), FocalLoss(gamma=0.5), SmoothedCrossEntropyLoss(spread='others')])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float16])
def test_classification_losses_are_finite_when_a_class_is_certain(loss, dtype):
    scores = torch.tensor([[6e4, 0.0, -6e4], [-6e4, 0.0, 6e4]], dtype=dtype, requires_grad=True)
    with torch.autocast('cpu', dtype=torch.float16):
        value = loss(scores, torch.tensor([0, 0]))  # one that is right, one that is wrong
    value.backward()
    assert value.isfinite() and value.dtype == torch.float32 and scores.grad.isfinite().all()


def test_smoothing_over_the_others_takes_a_single_class():
    assert SmoothedCrossEntropyLoss(spread='others')(torch.randn(3, 1), torch.zeros(3).long()) == 0


def test_centers_reach_the_means_of_their_identities_whatever_the_weight():
    feats, labels = batch()
    loss = CenterLoss(num_classes=4, channels=5, loss_weight=1e-6)
    unseen = loss.centers[3].clone()
    optimizer = torch.optim.SGD(loss.parameters(), lr=0.5)
    for _ in range(60):
        optimizer.zero_grad()
        loss(feats.detach(), labels).backward()
        optimizer.step()
    means = torch.stack([feats[labels == i].mean(0) for i in range(3)])
    torch.testing.assert_close(loss.centers[:3], means, rtol=1e-3, atol=1e-3)
    assert torch.equal(loss.centers[3], unseen)


def test_center_loss_of_half_embeddings_is_float32():
    feats, labels = batch(scale=300.0)  # whose squares overflow half precision
    with torch.autocast('cpu', dtype=torch.float16):
        value = CenterLoss(3, 5)(feats.half(), labels)
    assert value.dtype == torch.float32 and value.isfinite()


@pytest.mark.parametrize(
    'kind, options, message',
    [
        (WeightedTripletLoss, dict(margin=-1), 'margin=-1 of WeightedTripletLoss .*None'),
        (CircleLoss, dict(margin=-1), 'margin=-1 of CircleLoss'),
        (PairwiseCosFaceLoss, dict(gamma=0), 'PairwiseCosFaceLoss .*gamma=0'),
        (FocalLoss, dict(gamma=-1), 'gamma=-1 of FocalLoss'),
        (SmoothedCrossEntropyLoss, dict(spread='some'), "spread='some' .*'all', 'others'"),
        (SmoothedCrossEntropyLoss, dict(label_smooth_val=1.5), 'label_smooth_val=1.5 of SmoothedCrossEntropyLoss'),
    ],
)
def test_bad_options_are_refused(kind, options, message):
    with pytest.raises(ValueError, match=message):
        kind(**options)


@pytest.mark.dist
@pytest.mark.slow
def test_pairs_over_ranks_have_the_gradient_of_the_whole_batch(tmp_path):
    run_ranks(2, 'tests/test_models/pair_loss_rank_work.py', tmp_path / 'out.pth')
    found = torch.load(tmp_path / 'out.pth', weights_only=True)
    alone = dict(gradients(gather=False), **gradients_of_modalities(gather=False))
    assert found.keys() == {*LOSSES, *(f'{name}, uneven' for name in LOSSES), *MODALITY_LOSSES}
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, alone[name], rtol=1e-4, atol=1e-4, msg=name)
