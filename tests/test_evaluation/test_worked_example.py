# Copyright (c) mmreid contributors. All rights reserved.
"""The worked example of docs/en/advanced_guides/evaluation.md: the numbers there, computed by hand."""

import pytest
import torch

from mmreid.evaluation.functional import CUHK03, LLCM, MARKET1501, REGDB, SYSU_MM01, Protocol, rank

# Gallery images a to h. Cameras count from 0 here and from 1 on the page.
G_PIDS = torch.tensor([7, 7, 1, 0, 1, 7, 8, 2])
G_CAMIDS = torch.tensor([1, 0, 0, 3, 1, 3, 0, 3])
# Queries A, B and C.
Q_PIDS, Q_CAMIDS = torch.tensor([7, 8, 9]), torch.tensor([0, 1, 0])
SCORES = torch.tensor(
    [
        [0.7, 0.95, 0.9, 0.6, 0.8, 0.5, 0.4, 0.3],
        [0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.75, 0.75],
        [0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1],
    ]
)


def ranked(protocol, q_camids=Q_CAMIDS, **kwargs):
    return rank(SCORES, Q_PIDS, q_camids, G_PIDS, G_CAMIDS, protocol, **kwargs)


def test_market1501():
    result = ranked(MARKET1501, keep_top=7)
    names = [''.join('abcdefgh'[image] for image in row if image >= 0) for row in result.top[:2].tolist()]
    assert names == ['ceadfgh', 'ghabcde']
    assert result.valid.tolist() == [True, True, False]
    assert result.first_match.tolist() == [3, 1, 0]
    assert result.cmc[:3].tolist() == [1 / 2, 1 / 2, 1]
    assert result.ap[:2].tolist() == pytest.approx([11 / 30, 1])
    assert result.mean_ap == pytest.approx(41 / 60) and result.mean_inp == pytest.approx(0.7)


def test_average_precision_by_trapezoids():
    result = ranked(Protocol(ap='trapezoid'))
    assert result.ap[:2].tolist() == pytest.approx([59 / 240, 1])
    assert result.mean_ap == pytest.approx(299 / 480)


def test_cmc_over_identities():
    assert ranked(LLCM).cmc[:2].tolist() == [1 / 2, 1]
    assert ranked(LLCM).mean_ap == pytest.approx(41 / 60)


def test_cmc_over_galleries_of_one_image_per_identity():
    places = ranked(CUHK03).places
    assert set(places[0].tolist()) == {2, 3} and set(places[1].tolist()) == {1}
    assert places.shape == (3, 10)


def test_cmc_of_all_matches():
    result = ranked(Protocol(cmc='matches'))
    assert result.places.tolist() == [[3, 4], [1, 0], [0, 0]]
    assert result.cmc[:4].tolist() == [1 / 2, 1 / 2, 3 / 4, 1]


def test_true_positive_rate():
    roc = ranked(MARKET1501, roc_fpr=0.2).roc
    assert (len(roc.match), roc.num_other) == (3, 20)
    assert [roc.tpr(fpr) for fpr in (0.1, 0.15, 0.2)] == pytest.approx([0, 2 / 3, 1])


def test_regdb():
    result = ranked(REGDB)
    assert result.ap[:2].tolist() == pytest.approx([2 / 3, 1]) and result.mean_ap == pytest.approx(5 / 6)
    assert result.mean_inp == pytest.approx(3 / 4)


def test_sysu_mm01():
    result = ranked(SYSU_MM01, torch.tensor([2, 5, 5]), keep_top=8)
    assert ['abcdefgh'[image] for image in result.top[0].tolist() if image >= 0] == list('bcdfgh')
    assert result.ap[:2].tolist() == pytest.approx([3 / 4, 1]) and result.mean_ap == pytest.approx(7 / 8)
    assert result.mean_inp == pytest.approx(3 / 4) and float(result.cmc[0]) == 1
