# Copyright (c) mmreid contributors. All rights reserved.
"""RegDBMetric against CM-NAS's and AGW's code, in both directions."""

import numpy as np
import pytest
from test_evaluation.metric_samples import evaluate, golden, images

from mmreid.evaluation import RegDBMetric


def sides(q_pids, g_pids, modalities=('visible', 'infrared')):
    query = images(q_pids, np.zeros_like(q_pids), 'query', modalities[0])
    return query + images(g_pids, np.ones_like(g_pids), 'gallery', modalities[1], start=len(query))


@pytest.mark.parametrize('case', ['plain', 'ties'])
def test_equal_to_the_references(case):
    data = golden(f'02_regdb_{case}')
    metric = RegDBMetric('v2t', cmc_topk=range(1, 21))
    values = evaluate(metric, sides(data['q_pids'], data['g_pids']), data['distmat'])
    cmc = [values[f'reid/v2t/Rank-{k}'] / 100 for k in range(1, 21)]
    np.testing.assert_allclose(cmc, data['stable/agw.cmc'], atol=1e-6)
    assert values['reid/v2t/mAP'] / 100 == pytest.approx(float(data['stable/agw.mAP']), abs=1e-6)
    assert values['reid/v2t/mINP'] / 100 == pytest.approx(float(data['stable/agw.mINP']), abs=1e-6)
    assert not metric.details  # there is one gallery, so nothing to spread


@pytest.mark.parametrize('modalities', [('visible', 'infrared'), ('infrared', 'visible')])
def test_both_directions_whatever_that_of_the_data_set(modalities):
    rng = np.random.default_rng(0)
    samples = sides(rng.integers(0, 6, 20), rng.integers(0, 6, 30), modalities)
    for sample, number in zip(samples, rng.random(50), strict=True):
        sample['feature'][0] = float(number)

    def run(rows, directions):
        metric = RegDBMetric(directions)
        metric.matcher = lambda query, gallery: -(query - gallery.t()).abs()  # the same for either as the query
        metric.process(None, rows)
        return metric.evaluate(50)

    both = run(samples, ('v2t', 't2v'))
    assert both['reid/v2t/num_query'] == (20 if modalities[0] == 'visible' else 30)
    assert both['reid/v2t/mAP'] != both['reid/t2v/mAP']
    roles = dict(query='gallery', gallery='query')
    swapped = [sample | dict(split=roles[sample['split']]) for sample in samples]
    assert run(swapped, ('v2t', 't2v')) == pytest.approx(both)
    assert run(samples, 't2v') == {key: value for key, value in both.items() if '/t2v/' in key}


def test_modalities_that_are_not_there_are_counted():
    metric = RegDBMetric()
    with pytest.raises(ValueError, match='query .*3 visible .*gallery .*4 visible'):
        evaluate(metric, sides([1, 2, 3], [1, 2, 3, 3], ('visible', 'visible')), np.zeros((3, 4)))
    with pytest.raises(ValueError, match='query .*3 unlabeled .*gallery .*4 visible'):
        evaluate(metric, sides([1, 2, 3], [1, 2, 3, 3], (None, 'visible')), np.zeros((3, 4)))
    with pytest.raises(ValueError, match="directions='both' of RegDBMetric .*'v2t' .*'t2v'"):
        RegDBMetric('both')
