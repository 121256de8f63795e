# Copyright (c) mmreid contributors. All rights reserved.
"""LLCMMetric on hand-made cases."""

import random

import numpy as np
import pytest
from test_evaluation.metric_samples import evaluate, images

from mmreid.evaluation import LLCMMetric


def test_own_camera_is_left_out_and_identities_are_counted():
    query = images([1], [0], 'query', 'infrared')
    gallery = images([1, 2, 2, 1, 3], [0, 1, 2, 1, 1], 'gallery', 'visible', start=1)
    values = evaluate(LLCMMetric('i2v'), query + gallery, np.array([[0.1, 0.2, 0.3, 0.4, 0.5]]))
    # The same person in the same camera is skipped, both images of 2 count once: the match is image 3, identity 2.
    assert values['reid/i2v/mAP'] == pytest.approx(100 / 3)
    assert values['reid/i2v/Rank-1'] == 0 and values['reid/i2v/Rank-5'] == 100
    two = evaluate(LLCMMetric('i2v', cmc_topk=(2,)), query + gallery, np.array([[0.1, 0.2, 0.3, 0.4, 0.5]]))
    assert two['reid/i2v/Rank-2'] == 100


def test_trials_draw_one_image_per_identity_and_camera():
    """As DEEN's code does: ``random.seed(trial)``, then ``random.choice`` for sorted identities and cameras."""
    rng = np.random.default_rng(0)
    query = images(rng.integers(0, 4, 9), rng.integers(0, 3, 9), 'query', 'infrared')
    keys = [(pid, camid) for pid in range(4) for camid in range(3) for _ in range(30)]
    gallery = images(*zip(*keys, strict=True), 'gallery', 'visible', start=9)
    metric = LLCMMetric('i2v', trials=3)
    values = evaluate(metric, query + gallery, rng.random((9, 360)))
    forth, back = LLCMMetric(trials=3).tasks(*metric.test_set)
    for trial, drawn in enumerate(forth.galleries['i2v']):
        reference = random.Random(trial)
        assert drawn.tolist() == [reference.choice(range(30 * i, 30 * i + 30)) for i in range(12)]
    pairs = {(sample['pid'], sample['camid']) for sample in query}
    assert [len(drawn) for drawn in back.galleries['v2i']] == [len(pairs)] * 3
    assert len(back.query) == 360
    assert len(set(metric.details['reid/i2v/mAP_trials'])) == 3
    assert values['reid/i2v/mAP'] == pytest.approx(np.mean(metric.details['reid/i2v/mAP_trials']))


def test_options_that_do_not_work():
    with pytest.raises(ValueError, match='trials=0 of LLCMMetric'):
        LLCMMetric(trials=0)
    with pytest.raises(ValueError, match="directions=.'v2t',. of LLCMMetric"):
        LLCMMetric(('v2t',))
