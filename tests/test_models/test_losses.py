# Copyright (c) mmreid contributors. All rights reserved.
import math

import pytest
import torch
import torch.nn.functional as F

from mmreid.models.losses import TripletLoss, pair_statistics
from mmreid.models.utils import euclidean_distance, squared_euclidean_distance


def batch(ids=(0, 0, 0, 1, 1, 2, 2, 2), dim=5, seed=0):
    feats = torch.randn(len(ids), dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float32)
    return feats.requires_grad_(), torch.tensor(ids)


def slow_triplet(feats, labels, margin):
    losses = []
    for i in range(len(feats)):
        positives = [(feats[i] - feats[j]).norm() for j in range(len(feats)) if labels[j] == labels[i] and j != i]
        negatives = [(feats[i] - feats[j]).norm() for j in range(len(feats)) if labels[j] != labels[i]]
        if positives and negatives:
            gap = max(positives) - min(negatives)
            losses.append(F.softplus(gap) if margin is None else F.relu(gap + margin))
    return sum(losses) / len(losses)


@pytest.mark.parametrize('margin', [0.0, 0.3, 2.0, None])
@pytest.mark.parametrize('ids', [(0, 0, 0, 1, 1, 2, 2, 2), (0, 1, 2, 2), (5, 5, 3, 3)])
@pytest.mark.parametrize('normalize', [False, True])
def test_triplet_equals_its_definition(margin, ids, normalize):
    feats, labels = batch(ids)
    loss = TripletLoss(margin=margin, normalize=normalize)(feats, labels)
    (grad,) = torch.autograd.grad(loss, feats)
    expected = slow_triplet(F.normalize(feats, dim=1) if normalize else feats, labels, margin)
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(grad, torch.autograd.grad(expected, feats)[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('ids', [(1, 1, 1), (0, 1, 2)])
def test_triplet_without_any_triplet_is_zero_with_a_graph(ids):
    feats, labels = batch(ids)
    loss = TripletLoss()(feats, labels)
    loss.backward()
    assert loss.item() == 0 and feats.grad.abs().sum() == 0


def test_triplet_of_equal_embeddings_has_a_finite_gradient():
    feats = torch.ones(4, 3, requires_grad=True)
    TripletLoss()(feats, torch.tensor([0, 0, 1, 1])).backward()
    assert feats.grad.isfinite().all()


def test_triplet_runs_in_float32_under_autocast():
    feats, labels = batch()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        loss = TripletLoss()(feats.bfloat16(), labels)
    torch.testing.assert_close(loss, slow_triplet(feats.bfloat16().float(), labels, 0.3), rtol=1e-4, atol=1e-5)


def test_negative_margin_is_refused():
    with pytest.raises(ValueError, match='margin=-1 of TripletLoss .*None'):
        TripletLoss(margin=-1)


def test_distances():
    x, y = torch.randn(7, 16), torch.randn(9, 16)
    torch.testing.assert_close(euclidean_distance(x, y), torch.cdist(x, y), rtol=1e-4, atol=1e-4)
    assert squared_euclidean_distance(x, x).min() >= 0
    assert squared_euclidean_distance(x.half(), y.half()).dtype == torch.float32
    assert squared_euclidean_distance(x.double(), y.double()).dtype == torch.float64


def test_pair_statistics_of_known_points():
    feats = torch.tensor([[0.0, 0.0], [0.0, 2.0], [10.0, 0.0], [10.0, 4.0]])
    stats = pair_statistics(feats, torch.tensor([0, 0, 1, 1]))
    assert stats['pos_dist'].item() == pytest.approx(3)
    expected = (10 + math.hypot(10, 4) + math.hypot(10, 2) + math.hypot(10, 2)) / 4
    assert stats['neg_dist'].item() == pytest.approx(expected)
    assert stats['active_triplets'].item() == 0
    assert pair_statistics(feats, torch.tensor([0, 1, 0, 1]))['active_triplets'].item() == 1
    assert pair_statistics(feats, torch.tensor([0, 0, 1, 1]), margin=100)['active_triplets'].item() == 1


def test_pair_statistics_shows_collapse_and_small_batches():
    stats = pair_statistics(torch.ones(6, 4) * 5, torch.tensor([0, 0, 1, 1, 2, 2]))
    assert stats['emb_dist'].item() < 1e-4
    spread = pair_statistics(torch.eye(4), torch.arange(4))
    assert spread['emb_dist'].item() == pytest.approx(math.sqrt(2), abs=1e-5) and spread['pos_dist'].isnan()
    one = pair_statistics(torch.ones(2, 4), torch.tensor([0, 0]))
    assert one['neg_dist'].isnan() and one['active_triplets'].isnan() and not one['pos_dist'].isnan()
    assert all(value.isnan() for value in pair_statistics(torch.ones(1, 4), torch.tensor([0])).values())
