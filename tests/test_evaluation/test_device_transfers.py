# Copyright (c) mmreid contributors. All rights reserved.
"""Evaluation on a GPU: the same lists as on the CPU, and the host waits once, however many blocks there are."""

import math

import pytest
import torch
from sync_counter import SyncCounter

from mmreid.engine.features.class_graph import nearest_classes
from mmreid.evaluation.functional import FeaturePairs, FeatureScores, nearest_in_gallery, nearest_of_all
from mmreid.evaluation.functional.top_lists import _fill, _fill_on_device
from mmreid.models import CosineMatcher


@pytest.mark.parametrize('count', [1, 4, 9, 30])
@pytest.mark.parametrize('levels', [2, 1000])
def test_lists_of_a_device_equal_those_of_the_host(count, levels):
    generator = torch.Generator().manual_seed(count)
    rows = torch.randint(0, levels, (40, 20), generator=generator).float()
    rows[torch.rand(rows.shape, generator=generator) < 0.2] = math.nan
    rows[:3, ::2], rows[1:5, ::3], rows[7] = math.inf, -math.inf, math.nan
    found = []
    for fill in (_fill, _fill_on_device):
        lists = torch.full((40, count), -1), torch.full((40, count), math.nan)
        fill(rows, *lists)
        found.append(lists)
    assert torch.equal(found[0][0], found[1][0])
    torch.testing.assert_close(found[0][1], found[1][1], rtol=0, atol=0, equal_nan=True)


@pytest.fixture(autouse=True)
def unchecked(monkeypatch):
    """Leaves out the check of the features, which the meta device has no values for; it waits once for each side."""
    for name in ('pair_scores', 'score_blocks'):
        monkeypatch.setattr(f'mmreid.evaluation.functional.{name}.check_finite', lambda *_: None)


def waits(job):
    counter = SyncCounter()
    with counter:
        job()
    return counter.places


def features(count):
    return torch.ones(count, 8, device='meta')


def test_neighbors_are_moved_to_the_host_once():
    pairs = FeaturePairs([features(30), features(70)], CosineMatcher())
    for rows in (100, 7):
        places = waits(lambda r=rows: nearest_of_all(pairs, 5, memory=4 * 100 * r))
        assert list(places.values()) == [3] and 'to the host' in str(places)


def test_neighbors_in_the_gallery_are_moved_to_the_host_once():
    for rows in (30, 7):
        scores = FeatureScores(features(30), features(70), CosineMatcher())
        places = waits(lambda s=scores, r=rows: nearest_in_gallery(s, 30, 70, 5, memory=4 * 70 * r))
        assert list(places.values()) == [3] and 'to the host' in str(places)


@pytest.mark.parametrize('classes', [60, 640])
def test_the_graph_is_moved_to_the_host_once(classes):
    places = waits(lambda: nearest_classes(features(classes)[:, None], CosineMatcher(), 5))
    assert list(places.values()) == [2] and 'to the host' in str(places)
