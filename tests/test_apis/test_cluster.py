# Copyright (c) mmreid contributors. All rights reserved.
"""Clusters of planted features, and the sparse distances that they are made of."""

import sys

import numpy as np
import pytest
import torch

from mmreid.apis.cluster import cluster_features
from mmreid.evaluation.functional import FeaturePairs, rerank
from mmreid.evaluation.functional.jaccard_graph import jaccard_graph
from mmreid.models import CosineMatcher
from mmreid.models.matchers.base import FunctionMatcher

sklearn = pytest.importorskip('sklearn')
GROUPS = [1] * 3 + [0] * 6 + [2] * 4 + [3, 4] + [1] * 2


def planted(groups=GROUPS, noise=0.02):
    """Features around one axis for each person."""
    generator = torch.Generator().manual_seed(0)
    return torch.eye(8)[groups] + noise * torch.randn(len(groups), 8, generator=generator)


def one_minus(scores):
    return (1 - scores).clamp_min(0)


def test_people_are_found_the_largest_group_first():
    labels = cluster_features(planted(), CosineMatcher(), k1=6, k2=2)
    assert labels.dtype == np.int64 and labels.tolist() == [1] * 3 + [0] * 6 + [2] * 4 + [-1, -1] + [1] * 2


def test_groups_of_equal_size_come_in_the_order_of_the_images():
    assert cluster_features(planted([5, 5, 2, 2, 5, 2]), CosineMatcher(), k1=3, k2=1).tolist() == [0, 0, 1, 1, 0, 1]


def test_a_core_needs_so_many_images():
    labels = cluster_features(planted(), CosineMatcher(), k1=5, k2=2, min_samples=5)
    assert set(labels[GROUPS.index(2) : GROUPS.index(3)].tolist()) == {-1} and labels.max() == 1


def test_long_lists_for_few_images_are_told(mmreid_log):
    cluster_features(planted(), CosineMatcher(), k1=5)
    assert not mmreid_log.text
    cluster_features(planted(), CosineMatcher(), k1=6)
    assert 'k1=6' in mmreid_log.text and '17 images' in mmreid_log.text


def test_copies_of_an_image_have_distance_zero():
    assert cluster_features(torch.ones(3, 4), CosineMatcher()).tolist() == [0, 0, 0]
    assert cluster_features(torch.ones(1, 4), CosineMatcher()).tolist() == [-1]


@pytest.mark.parametrize(('k1', 'k2'), [(5, 2), (8, 1), (30, 6)])
def test_distances_are_those_of_re_ranking(k1, k2):
    features = planted(noise=0.5)
    pairs = FeaturePairs([features], CosineMatcher())
    graph = jaccard_graph(pairs, 0.8, k1, k2, one_minus, 2)
    sides = FeaturePairs([features[:7], features[7:]], CosineMatcher())
    wanted = -rerank(sides, 7, k1, k2, 0, 'jaccard', one_minus, 2).rows(slice(0, 7)).numpy()
    found = np.full((len(features),) * 2, np.inf)
    for image in range(len(features)):
        columns, values = graph.row(image)
        found[image, columns] = values
    near = found[:7, 7:] < np.inf
    np.testing.assert_allclose(found[:7, 7:][near], wanted[near], atol=1e-5)
    assert near.any() and (wanted[~near] > 0.8 - 1e-5).all()
    np.testing.assert_array_equal(found, found.T)
    assert (np.diag(found) == 0).all()


@pytest.mark.parametrize('settings', [dict(eps=0), dict(eps=1.5), dict(min_samples=0), dict(k1=0)], ids=str)
def test_settings_out_of_range(settings):
    with pytest.raises(ValueError, match=str(next(iter(settings.values())))):
        cluster_features(planted(), CosineMatcher(), **settings)


def test_a_matcher_without_distances():
    with pytest.raises(ValueError, match='function'):
        cluster_features(planted(), FunctionMatcher(lambda query, gallery: query @ gallery.t()))


def test_scikit_learn_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, 'sklearn.cluster', None)
    with pytest.raises(ModuleNotFoundError, match='pip install scikit-learn'):
        cluster_features(planted(), CosineMatcher())
