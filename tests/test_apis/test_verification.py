# Copyright (c) mmreid contributors. All rights reserved.
"""Rates and thresholds of small score lists, computed by hand; and of test sets, whole and by cameras."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_curve

from mmreid.apis.calibration import calibrate, describe_curve, explain_few, points_of
from mmreid.evaluation.functional.roc import RocCollector
from mmreid.evaluation.functional.verification import VerificationCounter
from mmreid.evaluation.retrieval_set import RetrievalSet
from mmreid.models import CosineMatcher


def curve_of(match, other, step=100):
    counter = VerificationCounter(torch.tensor(match))
    for part in torch.tensor(other).split(step):
        counter.add(part)
    return counter.result()


@pytest.mark.parametrize('step', [1, 3, 100])
def test_rates_by_hand(step):
    curve = curve_of([0.9, 0.6, 0.4], [0.8, 0.5, 0.3, 0.2], step)
    false, true = curve.corners()
    assert false.tolist() == [0, 0, 0, 0.25, 0.25, 0.5, 0.5, 1]
    np.testing.assert_allclose(true, [0, 0, 1 / 3, 1 / 3, 2 / 3, 2 / 3, 1, 1])
    assert curve.eer() == pytest.approx(1 / 3)  # on the level piece from (1/4, 2/3) to (1/2, 2/3)
    for point, wanted in (
        (curve.at_eer(), (0.55, 1 / 4, 2 / 3)),
        (curve.at_fpr(0.1), (0.85, 0, 1 / 3)),
        (curve.at_fpr(0.25), (0.55, 1 / 4, 2 / 3)),
        (curve.at_fpr(0.6), (0.35, 1 / 2, 1)),
    ):
        assert (point.threshold, point.fpr, point.tpr) == pytest.approx(wanted)


def test_equal_scores_are_accepted_together():
    curve = curve_of([0.5, 0.5], [0.5, 0.1])
    assert curve.eer() == pytest.approx(1 / 3)  # on the line from (0, 0) to (1/2, 1)
    point = curve.at_fpr(0.1)
    assert point.threshold == np.nextafter(np.float32(0.5), np.float32(1)) and (point.fpr, point.tpr) == (0, 0)
    assert curve.at_fpr(0.5).threshold == pytest.approx(0.3)


@pytest.mark.parametrize('seed', range(20))
def test_equal_to_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    scores = [rng.normal(mean, 1, count).astype(np.float32) for mean, count in ((1, 40), (0, 300))]
    if seed % 2:
        scores = [values.round(1) for values in scores]  # many ties
    curve = curve_of(*(values.tolist() for values in scores))
    false, true, _ = roc_curve(np.repeat([1, 0], [40, 300]), np.concatenate(scores), drop_intermediate=False)
    for fpr in (0.001, 0.01, 0.1, 0.5):
        point = curve.at_fpr(fpr)
        assert point.tpr == pytest.approx(true[false <= fpr].max())
        assert [(values >= point.threshold).mean() for values in scores] == pytest.approx([point.tpr, point.fpr])
    crossing = np.flatnonzero(false + true >= 1)[0]
    steps = [(values[crossing - 1], values[crossing] - values[crossing - 1]) for values in (false, true)]
    part = (1 - steps[0][0] - steps[1][0]) / (steps[0][1] + steps[1][1])
    assert curve.eer() == pytest.approx(steps[0][0] + part * steps[0][1])


@pytest.mark.parametrize(
    ('match', 'other', 'eer', 'threshold'),
    [([0.9, 0.8], [0.2, 0.1], 0, 0.5), ([0.1], [0.9, 0.8], 1, 0.1), ([0.3], [0.3], 0.5, 0.3)],
)
def test_ends_of_the_scale(match, other, eer, threshold):
    curve = curve_of(match, other)
    assert curve.eer() == eer and curve.at_eer().threshold == pytest.approx(threshold)


def test_a_rate_that_no_matching_pair_allows():
    point = curve_of([0.1], [0.9, 0.8]).at_fpr(0.4)
    assert point.threshold > np.float32(0.9) and (point.fpr, point.tpr) == (0, 0)


def test_equal_to_the_roc_that_keeps_the_highest_wrong_scores():
    generator = torch.Generator().manual_seed(0)
    scores = (torch.randn(40, 50, generator=generator) * 10).round()  # many ties
    same = torch.rand(40, 50, generator=generator) < 0.1
    collector = RocCollector(1, scores.numel())
    collector.add(scores.clone(), *same.nonzero(as_tuple=True))
    roc, curve = collector.result(), curve_of(scores[same].tolist(), scores[~same].tolist(), 77)
    for fpr in (0, 0.001, 0.01, 0.1, 0.3, 0.77, 0.99):
        point = curve.at_fpr(fpr)
        assert point.tpr == pytest.approx(roc.tpr(fpr))
        assert point.tpr == pytest.approx(float((scores[same] >= point.threshold).double().mean()))
        assert point.fpr == pytest.approx(float((scores[~same] >= point.threshold).double().mean()))


def test_no_wrong_pair():
    with pytest.raises(ValueError, match='0 wrong pairs'):
        VerificationCounter(torch.tensor([0.5])).result()


def sides(first_file='q0.jpg'):
    """Scores 0.8 and 0.8 of the same person in two cameras, 1 in one camera; 0.6, 0.6 and 0 of two people."""
    vectors = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[0.8, 0.6], [0.6, 0.8], [1.0, 0.0]])
    query = RetrievalSet(torch.tensor([0, 1]), torch.tensor([4, 4]), vectors[0], img_path=[first_file, 'q1.jpg'])
    gallery = RetrievalSet(
        torch.tensor([0, 1, 0]), torch.tensor([7, 7, 4]), vectors[1], img_path=['g0.jpg', 'g1.jpg', 'g2.jpg']
    )
    return query, gallery


def test_a_test_set_without_pairs_of_one_camera():
    found = calibrate(*sides(), CosineMatcher())
    assert (found.curve.num_match, found.curve.num_other, found.curve.eer()) == (2, 3, 0)
    assert found.curve.at_eer().threshold == pytest.approx(0.7)
    assert found.histograms['same'].sum() == 2 and found.histograms['different'].sum() == 3 and not found.of_cameras
    assert points_of(found.curve)[0] == [0, 0] and points_of(found.curve)[-1] == [1, 1]


def test_pairs_of_one_camera_but_never_a_file_with_itself():
    assert calibrate(*sides(), CosineMatcher(), own_camera=True).curve.num_match == 3
    found = calibrate(*sides('g2.jpg'), CosineMatcher(), own_camera=True)
    assert (found.curve.num_match, found.curve.num_other) == (2, 3)


def test_two_cameras_each():
    query, gallery = sides()
    gallery.camid_name = ['hall', 'hall', None]
    found = calibrate(query, gallery, CosineMatcher(), own_camera=True, per_camera_pair=True).of_cameras
    assert {name: (curve.num_match, curve.num_other) for name, curve in found.items()} == {
        '4-hall': (2, 2),
        '4-4': (1, 1),
    }
    assert found['4-hall'].at_eer().threshold == pytest.approx(0.7)
    assert found['4-4'].at_eer().threshold == pytest.approx(0.5)


def test_nobody_is_seen_twice():
    query, gallery = sides()
    gallery.pid += 10
    with pytest.raises(ValueError, match='2 queries.*3 gallery'):
        calibrate(query, gallery, CosineMatcher())


def test_too_few_wrong_pairs_are_told():
    curve = curve_of([0.9], np.linspace(0, 0.8, 200).tolist())
    assert explain_few(curve, [0.05]) == []
    (sentence,) = explain_few(curve, [0.05, 0.01])
    assert '0.01' in sentence and ' 2 of 200 ' in sentence and '1,000' in sentence
    entries = describe_curve(curve, [0.05, 0.01])['at_fpr']
    assert [entry['few_pairs'] for entry in entries] == [False, True]
    assert all(math.isfinite(entry['threshold']) for entry in entries)
