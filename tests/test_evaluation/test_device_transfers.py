# Copyright (c) mmreid contributors. All rights reserved.
"""Evaluation on a GPU: the same lists as on the CPU, and the host waits once, however many blocks there are."""

import math

import pytest
import torch
from sync_counter import SyncCounter
from test_evaluation.metric_samples import images

from mmreid.engine.features.class_graph import nearest_classes
from mmreid.evaluation.functional import (
    FeaturePairs,
    FeatureScores,
    Protocol,
    nearest_in_gallery,
    nearest_of_all,
    rank_galleries,
    reciprocal,
)
from mmreid.evaluation.functional.reciprocal import reciprocal_sets
from mmreid.evaluation.functional.reranking import RerankedScores
from mmreid.evaluation.functional.roc import RocCollector
from mmreid.evaluation.functional.score_blocks import MatrixScores
from mmreid.evaluation.functional.sparse_rows import SparseRows
from mmreid.evaluation.functional.tlift import TLiftScores
from mmreid.evaluation.functional.top_lists import _fill, _fill_on_device
from mmreid.evaluation.metrics import ReIDMetric, feature_metric, gathering
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


def sparse(num, columns, generator):
    """Draws sparse rows whose weights sum to 1."""
    rows = torch.rand(num, columns, generator=generator)
    rows *= torch.rand(rows.shape, generator=generator) < 0.1
    rows = torch.nn.functional.normalize(rows + torch.eye(num, columns), p=1)
    counts, places = (rows > 0).sum(1), (rows > 0).nonzero(as_tuple=True)
    return SparseRows.of(counts.numpy(), places[1].numpy(), rows[places].numpy())


def test_overlaps_of_a_device_equal_those_of_the_host():
    encodings = sparse(60, 60, torch.Generator().manual_seed(0))
    scores = RerankedScores(lambda block: torch.zeros(block.stop - block.start, 45), encodings, 15, 0.3, torch.float32)
    for block in (slice(0, 15), slice(4, 9)):
        found, expected = scores._overlap_on_device(block), scores._overlap(block)
        assert expected.any() and found.dtype == expected.dtype
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_reciprocal_sets_of_a_device_equal_those_of_the_host(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    feats = torch.randn(80, 6, generator=generator)
    lists = (feats @ feats.t()).topk(12).indices
    expected = reciprocal_sets(lists, 9, 5)
    monkeypatch.setattr(reciprocal, '_on_host', lambda _: False)
    found = reciprocal_sets(lists, 9, 5)
    assert expected[0].sum() == len(expected[1]) and len(expected[1]) > 3 * 80
    assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))


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


def test_reciprocal_sets_wait_once():
    lists = torch.ones(2000, 21, dtype=torch.int64, device='meta')
    assert list(waits(lambda: reciprocal_sets(lists, 21, 11)).values()) == [1]


def test_reranked_scores_wait_for_nothing():
    encodings = sparse(60, 60, torch.Generator().manual_seed(0))
    distances = torch.ones(15, 45, device='meta')
    scores = RerankedScores(lambda block: distances[block].clone(), encodings, 15, 0.3, torch.float32, device='meta')
    assert not waits(lambda: [scores.rows(slice(start, start + 5)) for start in (0, 5, 10)])


@pytest.mark.parametrize('rows', [30, 10])
def test_pivots_of_tlift_are_moved_to_the_host_once(rows):
    """A block of queries waits twice, however many cameras there are: for the range of its scores, and its pivots."""
    scores = MatrixScores(torch.ones(30, 12, device='meta'))
    scores.max_rows = rows
    cameras, times = torch.arange(30) % 4, torch.arange(30)
    lifted = []
    places = waits(lambda: lifted.append(TLiftScores(scores, cameras, times, cameras[:12], times[:12], k=3)))
    assert sum(places.values()) == 2 * (30 // rows) + 3, places
    assert not waits(lambda: lifted[0].rows(slice(0, rows)))


@pytest.mark.parametrize(
    ('options', 'galleries', 'moved'),
    [
        (dict(), 1, 2),  # ranks and numbers of NaN
        (dict(keep_top=5, roc_fpr=0.1), 1, 7),  # the lists, their scores, and three parts of the curve
        (dict(protocol=Protocol(cmc='ids')), 3, 3 * 3),  # each gallery has places, too
        (dict(protocol=Protocol(cmc='single_shot')), 1, 3),
    ],
)
def test_rankings_are_moved_to_the_host_once(options, galleries, moved):
    """However many blocks of queries there are."""
    q_pids, q_camids = torch.arange(30) % 10, torch.zeros(30)
    # One image of each identity is from the camera of the queries, so the made-up number of NaN in a row, 1, is right.
    g_pids, g_camids = torch.arange(70) % 10, (torch.arange(70) >= 10).long()
    drawn = [None] if galleries == 1 else [torch.arange(70).roll(i) for i in range(galleries)]
    for rows in (30, 4):
        scores = FeatureScores(features(30), features(70), CosineMatcher())
        scores.max_rows = rows
        labels = q_pids, q_camids, g_pids, g_camids
        places = waits(lambda s=scores, of=labels: rank_galleries(s, *of, drawn, **options))
        assert sum(places.values()) == moved, places


def test_the_curve_of_a_device_equals_that_of_the_host(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    scores = (torch.randn(6, 20, 30, generator=generator) * 4).round()
    scores[torch.rand(scores.shape, generator=generator) < 0.2] = math.nan
    scores[0, :3], scores[1, :3] = math.inf, -math.inf
    results = []
    for device in ('cpu', 'cuda'):
        collector = RocCollector(0.3, scores.numel())
        monkeypatch.setattr('mmreid.evaluation.functional.roc.device_type', lambda _, name=device: name)
        for rows in scores.clone():
            collector.add(rows, *(rows == 4).nonzero(as_tuple=True))
        total = RocCollector(0.3, scores.numel())
        total.join(collector.state())
        results.append(total.result())
    assert results[0].num_other == results[1].num_other > 2000
    assert torch.equal(results[0].match, results[1].match) and torch.equal(results[0].other, results[1].other)


@pytest.mark.parametrize(('waiting_bytes', 'moved'), [(gathering.DEVICE_BYTES, 1), (4 * 8 * 7, 4)])
def test_features_are_moved_to_the_host_together(waiting_bytes, moved, monkeypatch):
    """All at the end, or earlier where they would take too much of the device."""
    monkeypatch.setattr(feature_metric, 'DEVICE_BYTES', waiting_bytes)
    samples = images(range(16), [0] * 16, 'query') + images(range(16), [1] * 16, 'gallery', start=16)
    metric, found = ReIDMetric(), []

    def job():
        for start in range(0, 32, 2):
            metric.process(None, [dict(sample, feature=features(2)[0]) for sample in samples[start : start + 2]])
        found.extend(gathering.gather_images(metric.results))

    places = waits(job)
    assert sum(places.values()) == moved and all('to the host' in place for place in places)
    assert found[0]['pid'] == [*range(16), *range(16)] and torch.equal(found[1], torch.ones(32, 8))
