# Copyright (c) mmreid contributors. All rights reserved.
"""SYSUMetric against CM-NAS's and AGW's code, and against hand-made cases."""

import numpy as np
import pytest
import torch
from test_evaluation.metric_samples import evaluate, golden, images

from mmreid.evaluation import SYSUMetric
from mmreid.evaluation.functional import SYSU_MM01, rank

# Images per identity and camera, of which all are drawn, so that every trial has the golden gallery in another order.
CASES = dict(all_single=('all', 1), all_multi=('all', 3), indoor_single=('indoor', 1), novalid=('all', 1))


@pytest.mark.parametrize('case', CASES)
def test_equal_to_the_references(case):
    (mode, shot), data = CASES[case], golden(f'02_sysu_{case}')
    metric = SYSUMetric(mode=mode, shot=shot, trials=2, cmc_topk=range(1, 21))
    sides = [
        images(data[f'{side}_pids'], data[f'{side}_camids'] - 1, split, modality)
        for side, split, modality in (('q', 'query', 'infrared'), ('g', 'gallery', 'visible'))
    ]
    for sample in sides[1]:
        sample['sample_idx'] += len(sides[0])
    values = evaluate(metric, sides[0] + sides[1], data['distmat'])
    row = f'reid/{mode}-{"single" if shot == 1 else "3-shot"}'
    cmc = [values[f'{row}/Rank-{k}'] / 100 for k in range(1, 21)]
    np.testing.assert_allclose(cmc, data['cmnas.cmc'], atol=1e-6)
    assert values[f'{row}/mAP'] / 100 == pytest.approx(float(data['cmnas.mAP']), abs=1e-6)
    assert values[f'{row}/mINP'] / 100 == pytest.approx(float(data['agw.mINP']), abs=1e-6)
    assert metric.details[f'{row}/mAP_trials'] == pytest.approx([values[f'{row}/mAP']] * 2)
    assert metric.details[f'{row}/mAP_std'] == pytest.approx(0, abs=1e-9)


def world(num_ids=5, per_camera=12, num_query=30, seed=0):
    """Test images with two infrared and four visible cameras, and random distances."""
    rng = np.random.default_rng(seed)
    query = images(rng.integers(1, num_ids + 1, num_query), rng.choice([2, 5], num_query), 'query', 'infrared')
    keys = [(pid, camid) for pid in range(1, num_ids + 1) for camid in (0, 1, 3, 4) for _ in range(per_camera)]
    gallery = images(*zip(*keys, strict=True), 'gallery', 'visible', start=num_query)
    for i, sample in enumerate(gallery):
        sample['image_index'] = i % per_camera
    return query, gallery, rng.random((num_query, len(gallery)))


def test_one_extraction_gives_all_modes_and_shots_and_means_over_trials():
    query, gallery, distances = world()
    metric = SYSUMetric(mode=('all', 'indoor'), shot=(1, 10), trials=3, keep_top=4)
    values = evaluate(metric, query + gallery, distances)
    assert {key.rpartition('/')[0] for key in values} == {
        f'reid/{mode}-{shot}' for mode in ('all', 'indoor') for shot in ('single', 'multi')
    }
    labels = [torch.tensor([sample[key] for sample in query]) for key in ('pid', 'camid')]
    (task,) = metric.tasks(*metric.test_set)
    for row, trials in task.galleries.items():
        expected = []
        for drawn in trials:
            samples = [gallery[i] for i in drawn.tolist()]
            of_gallery = [torch.tensor([sample[key] for sample in samples]) for key in ('pid', 'camid')]
            scores = -torch.from_numpy(distances)[:, drawn]
            expected.append(100 * rank(scores, *labels, *of_gallery, SYSU_MM01).mean_ap)
        assert metric.details[f'reid/{row}/mAP_trials'] == pytest.approx(expected)
        assert values[f'reid/{row}/mAP'] == pytest.approx(np.mean(expected))
        assert metric.details[f'reid/{row}/mAP_std'] == pytest.approx(np.std(expected, ddof=1))
    first = metric.records['gallery']
    best = int(metric.ranking.top[0, 0])  # images show the first trial of the first row
    drawn = task.galleries['all-single'][0].tolist()
    seen = [i for i in drawn if query[0]['camid'] != 2 or gallery[i]['camid'] != 1]
    assert first.img_path[best] == gallery[min(seen, key=lambda i: distances[0, i])]['img_path']


def test_camera_3_does_not_see_camera_2():
    query = images([1, 1], [2, 5], 'query', 'infrared')
    gallery = images([7, 1, 8, 1], [1, 1, 0, 0], 'gallery', 'visible', start=2)
    distances = np.tile([0.1, 0.2, 0.3, 0.4], (2, 1))
    # Camera 3 sees 8, 1 and finds it second; camera 6 sees 7, 1, 8, 1.
    values = evaluate(SYSUMetric(mode='indoor', trials=1), query + gallery, distances)
    assert values['reid/indoor-single/mAP'] == pytest.approx(100 * (1 / 2 + (1 / 2 + 2 / 4) / 2) / 2)
    assert values['reid/indoor-single/Rank-1'] == 0 and values['reid/indoor-single/Rank-5'] == 100


class Labels:
    """The part of a data set that metrics check."""

    def __init__(self, samples):
        self.samples = samples
        self.pids, self.camids, self.splits, self.modalities = (
            np.array([sample[key] for sample in samples]) for key in ('pid', 'camid', 'split', 'modality')
        )

    def __len__(self):
        return len(self.samples)

    def get_data_info(self, index):
        return self.samples[index]


def test_what_the_data_cannot_fill_is_counted_before_extraction(mmreid_log):
    query, gallery, _ = world(per_camera=4)
    SYSUMetric(mode=('all', 'indoor')).validate(Labels(query + gallery))
    with pytest.raises(ValueError, match="'reid' .*20 of 20 .*identity 1 has 4 in camera 1"):
        SYSUMetric(shot=(1, 10)).validate(Labels(query + gallery))
    outdoor = [sample for sample in gallery if sample['camid'] > 2]
    with pytest.raises(ValueError, match=' 1, 2, .*0 of camera 1, 0 of camera 2'):
        SYSUMetric(mode='indoor').validate(Labels(query + outdoor))
    indoor = [sample for sample in gallery if sample['camid'] < 2]
    with pytest.raises(ValueError, match="20 of camera 2, 0 of camera 4, 0 of camera 5.*mode='all'"):
        SYSUMetric().validate(Labels(query + indoor))
    some = [sample for sample in gallery if sample['pid'] > 1 or sample['camid'] == 4]
    SYSUMetric(mode='indoor').validate(Labels(query + some))
    assert 'query/' in mmreid_log.text
    assert not [record for record in mmreid_log.records if record.levelname == 'WARNING']


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(mode='outdoor'), "mode='outdoor' of SYSUMetric"),
        (dict(shot=0), 'shot=0 and trials=10 of SYSUMetric'),
        (dict(trials=0), 'shot=1 and trials=0'),
        (dict(gallery='random'), "gallery='random' of SYSUMetric"),
        (dict(gallery='official'), "gallery='official' .*official_mat=None "),
        (dict(official_mat='x.mat'), "gallery='seeded' .*official_mat='x.mat' "),
    ],
)
def test_options_that_do_not_work(options, message):
    with pytest.raises(ValueError, match=message):
        SYSUMetric(**options)
