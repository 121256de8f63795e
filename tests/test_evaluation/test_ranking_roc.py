# Copyright (c) mmreid contributors. All rights reserved.
"""The ROC of verification."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mmreid.evaluation.functional import Protocol, Roc, rank, rank_distances, rank_galleries

GOLDEN = Path(__file__).parents[1] / 'data' / 'golden'
RATES = (1e-4, 1e-3, 1e-2)


def world(num_query=15, num_gallery=400, levels=10**6):
    rng = np.random.default_rng(0)
    scores = torch.from_numpy(rng.integers(0, levels, (num_query, num_gallery)) / levels).float()
    labels = [torch.from_numpy(rng.integers(0, n, c)) for c in (num_query, num_gallery) for n in (6, 3)]
    return scores, labels


def slow_tpr(scores, q_pids, q_camids, g_pids, g_camids, fpr):
    """Tries every threshold, from the highest, until it accepts too many wrong pairs."""
    same = q_pids[:, None] == g_pids
    kept = ~(same & (q_camids[:, None] == g_camids))
    match, other = scores[same & kept], scores[~same & kept]
    allowed = [t for t in [float('inf'), *other.tolist()] if (other > t).double().mean() <= fpr]
    return float((match > min(allowed)).double().mean())


@pytest.mark.parametrize('levels', [10**6, 5])
@pytest.mark.parametrize('memory', [1, 3000, 2**28])
def test_equals_a_walk_over_thresholds(levels, memory):
    scores, labels = world(levels=levels)
    roc = rank(scores, *labels, roc_fpr=0.05, memory=memory).roc
    assert len(roc.other) < 0.06 * roc.num_other / 0.9  # the rest was not kept
    for fpr in (*RATES, 0.03, 0.05):
        assert roc.tpr(fpr) == pytest.approx(slow_tpr(scores, *labels, fpr), abs=1e-12)
    with pytest.raises(ValueError, match='fpr=0.5 .*roc_fpr'):
        roc.tpr(0.5)


def test_galleries_beside_each_other_have_the_curves_they_have_alone():
    scores, labels = world()
    some = torch.arange(0, scores.shape[1], 2)
    found = rank_galleries(scores, *labels, [None, some, None], roc_fpr=0.2)
    alone = [rank_galleries(scores, *labels, [gallery], roc_fpr=0.2)[0] for gallery in (None, some)]
    for result, expected in zip(found, (alone[0], alone[1], alone[0]), strict=True):
        assert result.roc.tpr(0.1) == expected.roc.tpr(0.1) and torch.equal(result.ap, expected.ap)


def test_curve_starts_at_zero_and_agrees_with_tpr():
    scores, labels = world()
    whole, start = (rank(scores, *labels, roc_fpr=fpr).roc.curve() for fpr in (1.0, 0.02))
    assert whole[0][0] == whole[1][0] == 0 and whole[0][-1] == whole[1][-1] == 1
    assert all((rates.diff() >= 0).all() for rates in whole)
    for known, part in zip(whole, start, strict=True):
        torch.testing.assert_close(part, known[: len(part)])
    assert rank(scores, *labels).roc is None


@pytest.mark.parametrize(
    'case', ['plain', 'novalid', 'float64', 'single', 'small_gallery', 'short_after_filter', 'ties', 'alltied']
)
def test_fastreid_value_from_our_pairs(case):
    """fast-reid exchanges the roles: distances are its scores and wrong pairs its positives. From the corners of that
    curve (what scikit-learn keeps) it takes the first whose false rate is nearest to the one asked for."""
    with np.load(GOLDEN / f'01_rank_{case}.npz') as data:
        labels = [torch.from_numpy(data[key]) for key in ('q_pids', 'q_camids', 'g_pids', 'g_camids')]
        distances, expected = torch.from_numpy(data['distmat']).float(), data['fastreid_roc.tpr']  # as it saw them
    ours = rank_distances(distances, *labels, roc_fpr=1.0).roc
    exchanged = Roc(match=-ours.other.flip(0), other=-ours.match.flip(0), num_other=len(ours.match))
    fpr, tpr = exchanged.curve()
    bends = ((fpr.diff(n=2).abs() > 1e-9) | (tpr.diff(n=2).abs() > 1e-9)).tolist()
    corner = torch.tensor([True, *bends, True])
    fpr, tpr = fpr[corner], tpr[corner]
    for rate, value in zip(RATES, expected, strict=True):
        assert float(tpr[(fpr - rate).abs().argmin()]) == pytest.approx(float(value), abs=1e-6)


def test_no_pair_of_one_kind():
    ids = [torch.tensor(x) for x in ([1], [0], [1, 2], [1, 1])]
    scores = torch.tensor([[0.1, 0.9]])
    assert rank(scores, *ids, roc_fpr=0.1).roc.tpr(0.1) == 0
    assert np.isnan(rank(scores, torch.tensor([5]), *ids[1:], roc_fpr=0.1).roc.tpr(0.1))
    only_matches = rank(scores[:, :1], *ids[:2], ids[2][:1], ids[3][:1], Protocol(), roc_fpr=0.1).roc
    assert only_matches.tpr(0.1) == 1 and only_matches.num_other == 0
