# Copyright (c) mmreid contributors. All rights reserved.
"""Clusters for pseudo labels against those of the official codes, and their quality."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mmreid.evaluation.clustering import JaccardDBSCAN, SelfPacedDBSCAN
from mmreid.evaluation.clustering.dbscan import dbscan, jaccard_distances
from mmreid.evaluation.clustering.quality import rate_clusters
from mmreid.evaluation.clustering.self_paced_dbscan import differences, lowest_of_group, separated
from mmreid.models import CosineMatcher
from mmreid.registry import TASK_UTILS

pytest.importorskip('sklearn')
sparse = pytest.importorskip('scipy.sparse')
GOLDEN = Path(__file__).parents[1] / 'data' / 'golden'


@pytest.mark.parametrize('case', ['a', 'b'])
def test_distances_and_clusters_are_the_official_ones(case):
    data = np.load(GOLDEN / f'09_jaccard_dbscan_{case}.npz')
    features, compared = torch.from_numpy(data['features']), 0
    for k1, k2 in data['k1k2'].tolist():
        wanted = data[f'jaccard_k{k1}_{k2}']
        near = jaccard_distances(features, CosineMatcher(), 0.9999, k1, k2)
        found = np.ones_like(wanted)
        found[near.tocoo().row, near.tocoo().col] = near.tocoo().data
        np.testing.assert_allclose(found, wanted, atol=2e-5)
        for name in (name for name in data.files if name.startswith(f'dbscan_k{k1}_{k2}_')):
            eps = float(name.partition('eps')[2])
            labels = JaccardDBSCAN(eps, 4, k1, k2)(features, CosineMatcher(), 0)
            np.testing.assert_array_equal(labels, data[name])
            compared += 1
    assert compared == 14


def test_an_explicit_zero_is_near_and_what_is_not_there_is_far():
    rows, columns = [0, 1, 1, 2, 2, 3], [1, 0, 2, 1, 3, 2]
    distances = sparse.csr_matrix((np.float32([0, 0, 0.3, 0.3, 0.5, 0.5]), (rows, columns)), (5, 5))
    assert dbscan(distances, 0.3, 2).tolist() == [0, 0, 0, -1, -1]
    assert dbscan(distances, 0.2, 2).tolist() == [0, 0, -1, -1, -1]


@pytest.mark.parametrize('gap', ['0.02', '0.1'])
def test_reliable_images_are_the_official_ones(gap):
    data = np.load(GOLDEN / f'10_reliability_gap{gap}.npz')
    settings = dict(eps=float(data['eps']), eps_gap=float(data['eps_gap']), k1=int(data['k1']), k2=int(data['k2']))
    clustering = SelfPacedDBSCAN(**settings)
    for epoch in (0, 1):
        part = {name.partition('/')[2]: data[name] for name in data.files if name.startswith(f'epoch{epoch}/')}
        labels = clustering.reliable(part['dbscan_mid'], part['dbscan_tight'], part['dbscan_loose'])
        groups = separated(part['dbscan_mid'])
        for other, name in (('tight', 'comp'), ('loose', 'indep')):
            lost = differences(groups, separated(part[f'dbscan_{other}']))
            np.testing.assert_allclose(lost, part[f'R_{name}'], atol=1e-5)
            np.testing.assert_allclose(lowest_of_group(lost, groups), part[f'cluster_R_{name}'], atol=1e-5)
        assert clustering.threshold == pytest.approx(float(part['indep_thres']), abs=1e-6)
        # The official numbers have gaps; what counts is who is with whom.
        pairs = np.unique(np.stack([separated(labels), part['labels']]), axis=1)
        assert pairs.shape[1] == len(np.unique(part['labels'])) == len(np.unique(separated(labels)))
        whole = SelfPacedDBSCAN(**settings)
        whole.load_state(clustering.state())
        np.testing.assert_array_equal(whole(torch.from_numpy(part['features']), CosineMatcher(), epoch), labels)


def test_the_threshold_is_of_the_first_epoch_unless_it_may_move():
    first, second = np.array([0, 0, 0, 1, 1, 2, 2]), np.array([0, 0, 0, 0, 0, 2, 2])
    fixed, moving = (SelfPacedDBSCAN(keep_fraction=0.1, fixed_threshold=fixed) for fixed in (True, False))
    for clustering in (fixed, moving):
        assert clustering.reliable(first, first, first).tolist() == first.tolist() and clustering.threshold == 0
        labels = clustering.reliable(first, first, np.array([0, 0, 0, 0, 0, 1, 1]))
        assert labels.tolist() == [-1] * 5 + [2, 2]
    assert fixed.reliable(first, first, second * 0).tolist() == [-1] * 7
    assert moving.reliable(first, first, second * 0).tolist() != [-1] * 7
    assert SelfPacedDBSCAN().reliable(np.full(3, -1), np.full(3, -1), np.full(3, -1)).tolist() == [-1] * 3


def test_quality():
    labels, people = np.array([0, 0, 1, 1, 1, -1, -1]), np.array([5, 5, 5, 7, 7, 7, 9])
    rates = rate_clusters(labels, people)
    assert rates['precision'] == pytest.approx(100 * 2 / 4) and rates['recall'] == pytest.approx(100 * 2 / 6)
    assert 0 < rates['nmi'] < 100 and 0 < rates['ari'] < 100
    perfect = rate_clusters(people, people)
    assert perfect == dict(precision=100, recall=100, nmi=pytest.approx(100), ari=100)
    assert 'precision' not in rate_clusters(np.full(3, -1), np.array([0, 0, 1]))


@pytest.mark.parametrize(
    'settings', [dict(eps=1.2), dict(min_samples=0), dict(k1=0), dict(eps_gap=0.6), dict(keep_fraction=0.0)], ids=str
)
def test_settings_out_of_range(settings):
    with pytest.raises(ValueError, match=str(next(iter(settings.values())))):
        TASK_UTILS.build(dict(type='SelfPacedDBSCAN', **settings))
