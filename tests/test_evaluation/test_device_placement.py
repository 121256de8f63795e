# Copyright (c) mmreid contributors. All rights reserved.
"""Features of a GPU, which the meta device stands for, meet only what is there too: new labels, neighbors, scores."""

import pytest
import torch
from sync_counter import SyncCounter

from mmreid.apis.calibration import calibrate
from mmreid.evaluation import RetrievalSet
from mmreid.evaluation.functional import CachedScores, FeatureScores, PrefilteredScores
from mmreid.evaluation.functional.neighbor_precision import rate_learned, rate_nearest
from mmreid.evaluation.functional.query_expansion import expand_queries
from mmreid.models import ClusterMemory, CosineMatcher, ExemplarMemory, GraphPositivePrediction, HybridMemory

LABELS = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])


def features(*shape):
    return torch.ones(*shape, 4, device='meta')


def relabel(memory, groups=None, source=None):
    memory.expect(0 if source is None else len(source), len(LABELS), torch.device('meta'), groups)
    memory.relabel(LABELS, features(len(LABELS)), source)
    assert memory.features.is_meta


def aggregate():
    groups = dict(visible=torch.arange(4), infrared=torch.arange(4, 8))
    relabel(ClusterMemory(4, aggregation=dict()), groups)


def slots(count=9):
    memory = ExemplarMemory(4)
    memory.allocate(count, 'meta')
    return memory, torch.arange(count, device='meta'), torch.zeros(count, dtype=torch.int64, device='meta')


def learned():
    neighbors = GraphPositivePrediction(4, k=3, channels=(4,)).to('meta')
    neighbors.allocate(torch.zeros(9, dtype=torch.int64), 'meta')
    rate_learned(neighbors, *slots(), 2)


def calibrated():
    pid, camid, paths = torch.arange(6) % 3, torch.arange(6) % 2, [f'{name}.jpg' for name in range(12)]
    query, gallery = (RetrievalSet(pid, camid, features(6), img_path=part) for part in (paths[:6], paths[6:]))
    calibrate(query, gallery, CosineMatcher(), own_camera=True, per_camera_pair=True, device='meta')


def cached():
    scores = CachedScores(FeatureScores(features(3), features(5), CosineMatcher()))
    for one in (scores, scores, scores.choose(torch.tensor([4, 0]))):
        assert one.rows(slice(0, 3)).is_meta


def prefiltered():
    scores = PrefilteredScores(features(3), features(5), CosineMatcher(), topk=2)
    assert scores.rows(slice(0, 3)).is_meta


@pytest.mark.parametrize(
    'job',
    [
        lambda: relabel(ClusterMemory(4)),
        lambda: relabel(ClusterMemory(4), source=features(2)),
        lambda: relabel(HybridMemory(4), source=features(2)),
        aggregate,
        lambda: rate_nearest(*slots(), 2),
        learned,
        lambda: expand_queries(features(3), features(5), k=3),
        lambda: expand_queries(features(3), features(5), k=3, sides='query'),
        prefiltered,
        cached,
        calibrated,
    ],
)
def test_all_tensors_are_on_one_device(job, monkeypatch):
    for name in ('pair_scores', 'score_blocks'):  # the meta device has no values to check
        monkeypatch.setattr(f'mmreid.evaluation.functional.{name}.check_finite', lambda *_: None)
    with SyncCounter():
        job()
