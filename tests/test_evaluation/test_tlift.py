# Copyright (c) mmreid contributors. All rights reserved.
"""TLift against the official code (tests/data/golden), against a plain formula, and as a step of ``post``."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from test_evaluation.metric_samples import golden, images

from mmreid.evaluation import ReIDMetric, RetrievalSet
from mmreid.evaluation.functional import FeatureScores, MatrixScores, TLiftScores, tlift
from mmreid.evaluation.functional.score_blocks import FunctionScores
from mmreid.evaluation.postprocessing import KReciprocalRerank, TLift, post_process
from mmreid.models import CosineMatcher, EuclideanMatcher, QAConvMatcher

NAMES = ('in_score', 'prob_cam_id', 'prob_time', 'gal_cam_id', 'gal_time')


def plain_formula(scores, q_camids, q_times, g_camids, g_times, tau, sigma, k, alpha):
    """Lifts one score after the other."""
    lifted = np.empty_like(scores)
    for i in range(len(scores)):
        near = (q_camids == q_camids[i]) & (np.abs(q_times - q_times[i]) < tau)
        near[i] = True
        for j in range(scores.shape[1]):
            camera = np.flatnonzero(g_camids == g_camids[j])
            pool = scores[np.ix_(near, camera)]
            worst = np.sort(pool, axis=None)[-min(k, pool.size)]
            times = g_times[camera][np.nonzero(pool >= worst)[1]]
            weight = np.exp(-(((g_times[j] - times) / sigma) ** 2)).mean()
            lifted[i, j] = (weight + alpha) * scores[i, j]
    return lifted


@pytest.mark.parametrize('memory', [2**28, 900])  # 900 bytes: no weights are kept, and they come in parts
@pytest.mark.parametrize('case', ['06_tlift_plain', '06_tlift_edge'])
def test_official_outputs(case, memory):
    data = golden(case)
    scores, *labels = (torch.from_numpy(data[name]) for name in NAMES)
    for i, (tau, sigma, k, alpha) in enumerate(data['params_tau_sigma_K_alpha']):
        blocks = TLiftScores(MatrixScores(scores), *labels, tau, sigma, int(k), alpha, memory=memory)
        ours = torch.cat([blocks.rows(slice(start, start + 16)) for start in (0, 16)] + [blocks.rows(slice(32, 40))])
        torch.testing.assert_close(ours, torch.from_numpy(data[f'out{i}']), rtol=0, atol=1e-5)
        torch.testing.assert_close(tlift(scores, *labels, tau, sigma, int(k), alpha), ours, rtol=0, atol=1e-6)


def test_a_camera_without_gallery_images_changes_nothing():
    scores, *labels = (golden('06_tlift_camera_gap')[name] for name in NAMES)
    assert set(labels[0]) - set(labels[2])  # the official code raises here
    settings = (100.0, 200.0, 10, 0.2)
    ours = tlift(*map(torch.from_numpy, (scores, *labels)), *settings)
    np.testing.assert_allclose(ours, plain_formula(scores, *labels, *settings), rtol=0, atol=1e-6)


def test_any_camera_ids_and_times_of_the_day(monkeypatch):
    monkeypatch.setitem(TLiftScores.__init__.__globals__, 'ROWS', 5)
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 6, (17, 40)) / 5  # many equal ones
    q_camids, g_camids = (rng.choice([-1, 7, 10**12], n) for n in (17, 40))
    q_times, g_times = (1.7e9 + rng.integers(0, 2_000, n) / 4 for n in (17, 40))
    for settings in ((150.0, 200.0, 3, 0.2), (0.0, 10.0, 1, 0.0), (1e9, 1e5, 100, 1.0)):
        ours = tlift(*map(torch.from_numpy, (scores, q_camids, q_times, g_camids, g_times)), *settings)
        wanted = plain_formula(scores, q_camids, q_times, g_camids, g_times, *settings)
        np.testing.assert_allclose(ours, wanted, rtol=0, atol=1e-9)


def test_a_time_difference_is_compared_before_anything_is_rounded():
    rng = np.random.default_rng(0)
    for base in (0.0, 1.7e9, 1.7e9 + 0.1):  # floats near 1.7e9 lie 2.4e-7 apart, so that time - tau is rounded
        for parts, tau in ((3, 20.0), (3, 1 / 3), (10, 0.1), (10, 20.1), (7, 100 / 7), (25, 4.0)):
            scores = rng.random((24, 9))
            q_camids, g_camids = (rng.integers(0, 2, n) for n in (24, 9))
            q_times, g_times = (base + rng.integers(0, 60 * parts, n) / parts for n in (24, 9))
            exact = [Fraction(time) for time in q_times.tolist()]
            if base:  # there, the plain formula's own subtraction is exact too
                near = [[abs(one - other) < Fraction(tau) for other in exact] for one in exact]
                assert near == (abs(q_times[:, None] - q_times) < tau).tolist()
            settings = (tau, 5.0, 3, 0.2)
            ours = tlift(*map(torch.from_numpy, (scores, q_camids, q_times, g_camids, g_times)), *settings)
            wanted = plain_formula(scores, q_camids, q_times, g_camids, g_times, *settings)
            np.testing.assert_allclose(ours, wanted, rtol=0, atol=1e-9, err_msg=f'{base=} {parts=} {tau=}')


@pytest.mark.parametrize('tau', [1 / 3, 0.1])
def test_queries_at_the_boundary_of_tau_near_1_7e9(tau):
    times = 1.7e9 + np.arange(9) * tau
    inside = np.abs(np.diff(times)) < tau  # of queries a step apart, by how their times were rounded
    assert inside.any() and not inside.all()
    scores = np.linspace(0.1, 0.9, 9)[:, None] * np.ones(9)
    scores[np.arange(9), np.arange(9)] = 0.95  # each query has its own pivot
    camids = np.zeros(9, dtype=int)
    ours = tlift(*map(torch.from_numpy, (scores, camids, times, camids, times)), tau, 0.1, 1, 0.2)
    wanted = plain_formula(scores, camids, times, camids, times, tau, 0.1, 1, 0.2)
    np.testing.assert_allclose(ours, wanted, rtol=0, atol=1e-9)


def make_sets(shape=(16,), num_ids=10):
    """Groups of five people who walk from camera to camera together, two minutes apart."""
    generator = torch.Generator().manual_seed(0)
    centers = torch.randn(num_ids, *shape, generator=generator)
    sets = []
    for count, first_camera in ((num_ids, 0), (6 * num_ids, 1)):
        pids = torch.arange(count) % num_ids
        camids = first_camera + (torch.arange(count) // num_ids) % 3
        feats = centers[pids] + 1.5 * torch.randn(count, *shape, generator=generator)
        times = 1500.0 * (pids // 5) + 5.0 * pids + 120.0 * camids
        sets.append(RetrievalSet(pids, camids, feats, timestamp=times.double()))
    return sets


def mean_ap(scores, query, gallery):
    scores = scores.rows(slice(0, len(query)))
    right = (query.pid[:, None] == gallery.pid).gather(1, scores.argsort(1, descending=True)).double()
    precision = right.cumsum(1) / torch.arange(1, right.shape[1] + 1)
    return float(((precision * right).sum(1) / right.sum(1)).mean())


def test_times_help_after_features_and_after_reranking():
    query, gallery = make_sets()
    order = torch.randperm(60, generator=torch.Generator().manual_seed(1))
    shuffled = replace(gallery, timestamp=gallery.timestamp[order])
    for before in ([], [KReciprocalRerank(k1=6, k2=2)]):
        plain = mean_ap(post_process(before, query, gallery, CosineMatcher()), query, gallery)
        true, wrong = (
            mean_ap(post_process([*before, TLift()], query, part, CosineMatcher()), query, gallery)
            for part in (gallery, shuffled)
        )
        assert true > plain + 0.05 and wrong < plain


def test_unbounded_scores_of_qaconv():
    query, gallery = make_sets(shape=(4, 3, 2))
    sets = [replace(part, feature=torch.nn.functional.normalize(part.feature)) for part in (query, gallery)]
    matcher = QAConvMatcher(size=(3, 2)).eval()
    torch.nn.init.constant_(matcher.logit_bn.bias, -30)  # all scores negative
    raw = matcher(sets[0].feature, sets[1].feature)
    assert raw.max() < 0
    labels = [values for part in sets for values in (part.camid, part.timestamp)]
    ours = post_process([TLift()], *sets, matcher).rows(slice(0, 10))
    torch.testing.assert_close(ours, tlift(torch.sigmoid(raw / 10), *labels))
    for steps in ([KReciprocalRerank(variant='plain')], [KReciprocalRerank(), TLift()]):  # distances are in [0, 1]
        scores = post_process(steps, *sets, matcher).rows(slice(0, 10))
        assert scores.isfinite().all() and scores.max() <= 1.2


def test_plain_and_lifted_rows_stand_side_by_side():
    query, gallery = make_sets()
    rows = [
        dict(sample, timestamp=float(time), feature=feature)
        for part, split, start in ((query, 'query', 0), (gallery, 'gallery', 10))
        for sample, time, feature in zip(
            images(part.pid, part.camid, split, start=start), part.timestamp, part.feature, strict=True
        )
    ]
    metric = ReIDMetric(post=[dict(type='KReciprocalRerank', k1=6, k2=2), dict(type='TLift')])
    metric.matcher = CosineMatcher()
    metric.process(None, rows)
    values = metric.evaluate(len(rows))
    assert values['reid+rerank+tlift/mAP'] > values['reid/mAP'] + 5


def test_missing_and_bad_times():
    query, gallery = make_sets()
    untimed = replace(gallery, timestamp=None)
    with pytest.raises(ValueError, match='TLift .*gallery .*timestamp'):
        post_process([TLift()], query, untimed, CosineMatcher())
    query.timestamp[3] = float('nan')
    with pytest.raises(ValueError, match='query image 3 .*nan.*TLift'):
        post_process([TLift()], query, gallery, CosineMatcher())


class TestSet(list):
    """Records, as a metric looks at them before a test."""

    __test__ = False
    pids, camids, splits = np.array([1, 1, 2]), np.array([0, 1, 2]), np.array(['query', 'gallery', 'gallery'])
    modalities = np.array([''] * 3)
    get_data_info = list.__getitem__


def test_missing_times_are_found_before_features_are_extracted():
    records = [dict(img_path=f'{i}.jpg', timestamp=time) for i, time in enumerate((1.5, 0.0, None))]
    with pytest.raises(ValueError, match=r'timestamp .*1 of 3 .*2\.jpg'):
        ReIDMetric(post=[dict(type='TLift')]).validate(TestSet(records))
    records[2]['timestamp'] = 2.0
    ReIDMetric(post=[dict(type='TLift')]).validate(TestSet(records))


def test_scores_of_an_unknown_scale_need_a_choice():
    query, gallery = make_sets()
    with pytest.raises(ValueError, match='EuclideanMatcher .*probability '):
        post_process([TLift()], query, gallery, EuclideanMatcher())
    with pytest.raises(ValueError, match=r'\[0, 1\].*queries 0..9 .*\[-'):
        post_process([TLift(probability='identity')], query, gallery, EuclideanMatcher())
    scores = post_process([TLift(probability='logistic')], query, gallery, EuclideanMatcher()).rows(slice(0, 10))
    assert 0 <= scores.min() and scores.max() <= 1.2
    labels = [values for part in (query, gallery) for values in (part.camid, part.timestamp)]
    of_nan = FunctionScores(lambda block: torch.full((block.stop - block.start, 60), float('nan')))
    with pytest.raises(ValueError, match=r'\[nan, nan\]'):
        TLiftScores(of_nan, *labels)
    few = FeatureScores(query.feature[:5], gallery.feature, CosineMatcher())
    with pytest.raises(ValueError, match=r'\(5, 60\).*10 queries'):
        TLiftScores(few, *labels)


@pytest.mark.parametrize('bad', [dict(tau=-1), dict(sigma=0), dict(k=0), dict(alpha=-0.1), dict(probability='raw')])
def test_bad_settings(bad):
    with pytest.raises(ValueError, match='{}={!r}'.format(*next(iter(bad.items())))):
        TLift(**bad)
