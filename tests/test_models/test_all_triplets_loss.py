# Copyright (c) mmreid contributors. All rights reserved.
import math

import pytest
import torch

from mmreid.models import AllTripletsLoss


@pytest.mark.parametrize('margin', [None, 0.3])
@pytest.mark.parametrize(('normalize', 'scale'), [(False, 1), (True, 1), (True, 16)])
def test_is_the_mean_over_all_triplets(margin, normalize, scale):
    feats = torch.randn(7, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    labels = torch.tensor([0, 0, 1, 1, 1, 2, 0])
    unit = feats / feats.norm(dim=1, keepdim=True) if normalize else feats
    terms = []
    for a in range(7):
        for p in range(7):
            for n in range(7):
                if a != p and labels[a] == labels[p] and labels[a] != labels[n]:
                    gap = scale * ((unit[a] - unit[p]).norm() - (unit[a] - unit[n]).norm())
                    terms.append((1 + gap.exp()).log() if margin is None else (gap + margin).clamp_min(0))
    expected = torch.stack(terms).mean()
    loss = AllTripletsLoss(margin, normalize, scale)(feats, labels)
    torch.testing.assert_close(loss, expected)
    (grad,) = torch.autograd.grad(loss, feats)
    torch.testing.assert_close(grad, torch.autograd.grad(expected, feats)[0])


@pytest.mark.parametrize('labels', [[0, 0, 0], [0, 1, 2]])
def test_without_a_triplet_it_is_zero_with_a_graph(labels):
    feats = torch.randn(3, 4, requires_grad=True)
    loss = AllTripletsLoss()(feats, torch.tensor(labels))
    loss.backward()
    assert loss.item() == 0 and not feats.grad.any()


def test_a_collapsed_embedding_has_the_loss_of_a_coin_and_a_negative_margin_is_refused():
    loss = AllTripletsLoss()(torch.ones(4, 2), torch.tensor([0, 0, 1, 1]))
    assert loss.item() == pytest.approx(math.log(2))
    with pytest.raises(ValueError, match='margin=-1'):
        AllTripletsLoss(-1)
    for wrong in (dict(scale=0, normalize=True), dict(scale=float('nan'), normalize=True), dict(scale=16)):
        with pytest.raises(ValueError, match=f'scale={wrong["scale"]} '):
            AllTripletsLoss(**wrong)
