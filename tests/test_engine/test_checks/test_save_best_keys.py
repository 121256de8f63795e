# Copyright (c) mmreid contributors. All rights reserved.
"""``save_best`` may only name metrics that the validation reports."""

import pytest
import torch
from mmengine.evaluator import BaseMetric, Evaluator

from mmreid.engine.checks.save_best_keys import check_save_best
from mmreid.evaluation import ReIDMetric, RetrievalSet, SYSUMetric
from mmreid.models import CosineMatcher


def images(pids, camids, modality):
    return RetrievalSet(
        pid=torch.tensor(pids), camid=torch.tensor(camids), modality=[modality] * len(pids), img_path=[''] * len(pids),
        sample_idx=list(range(len(pids))), feature=torch.eye(len(pids), 4),
    )  # fmt: skip


def checked(kind, name, **options):
    """A metric that knows its test set."""
    metric = kind(**options)
    metric.dataset_meta = dict(dataset_name=name)
    metric.matcher = CosineMatcher()
    sides = images([1, 2], [2, 5], 'infrared'), images([1, 2, 1, 2], [0, 1, 3, 4], 'visible')
    metric.check(*sides, str)
    return metric, sides


@pytest.mark.parametrize(
    ('kind', 'options'),
    [
        (ReIDMetric, dict(cmc_topk=[1, 3], roc_fpr=[0.01])),
        (ReIDMetric, dict(post=[dict(type='QueryExpansion', k=1)])),
        (SYSUMetric, dict(mode=('all', 'indoor'))),
    ],
)
def test_keys_are_those_that_are_reported(kind, options):
    metric, sides = checked(kind, 'own', **options)
    reported = metric.compute_metrics(sides)
    assert set(metric.keys) == {key for key in reported if 'num_' not in key}


def test_names_that_are_not_reported_are_refused():
    own, other = (Evaluator([checked(ReIDMetric, name)[0]]) for name in ('own', 'other'))
    check_save_best(['own/mAP', 'auto'], [own])
    check_save_best(['average/Rank-1', 'other/mINP'], [own, other])
    for wrong, meant in (('mAP', 'own/mAP'), ('own/maP', 'own/mAP'), ('average/mAP', 'own/mAP'), ('x', 'own/mAP')):
        with pytest.raises(ValueError, match=f"save_best='{wrong}' .*'{meant}'"):
            check_save_best([wrong], [own])


def test_metrics_of_others_may_report_anything():
    class Other(BaseMetric):
        def process(self, data_batch, data_samples):
            pass

        def compute_metrics(self, results):
            return {}

    check_save_best(['x'], [Evaluator([Other()])])
