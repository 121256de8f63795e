# Copyright (c) mmreid contributors. All rights reserved.
import re

import numpy as np
import pytest
import torch

from mmreid.evaluation import PostProcess, ReIDMetric
from mmreid.models import CosineMatcher
from mmreid.registry import METRICS
from mmreid.utils.registry_hints import suggest_names


def samples(pids, camids, splits, features, order=None):
    rows = [
        dict(pid=pid, camid=camid, split=split, feature=feature, sample_idx=i, img_path=f'{i}.jpg')
        for i, (pid, camid, split, feature) in enumerate(zip(pids, camids, splits, features, strict=True))
    ]
    return [rows[i] for i in (order if order is not None else range(len(rows)))]


def world(num_query=6, num_gallery=20, num_ids=4, num_cameras=2, seed=0):
    rng = np.random.default_rng(seed)
    total = num_query + num_gallery
    splits = ['query'] * num_query + ['gallery'] * num_gallery
    features = torch.from_numpy(rng.normal(size=(total, 8))).float()
    return rng.integers(1, num_ids + 1, total), rng.integers(0, num_cameras, total), splits, features


def evaluate(rows, size=None, **kwargs):
    metric = ReIDMetric(**kwargs)
    metric.matcher = CosineMatcher()
    for start in range(0, len(rows), 7):
        metric.process(None, rows[start : start + 7])
    return metric.evaluate(size or len(rows)), metric


def test_order_and_padding_do_not_matter():
    data = world()
    plain, _ = evaluate(samples(*data))
    order = [*np.random.default_rng(1).permutation(26), 3, 0, 25]  # shuffled by ranks, the last batch padded
    shuffled, _ = evaluate(samples(*data, order=order), size=26)
    assert plain == shuffled
    assert set(plain) == {
        f'reid/{key}'
        for key in ('mAP', 'mINP', 'Rank-1', 'Rank-5', 'Rank-10', 'Rank-20', 'num_query', 'num_valid_query')
    }


def test_lost_images_are_noticed():
    with pytest.raises(RuntimeError, match="'reid' .*26 images .*25 "):
        evaluate(samples(*world())[:-1], size=26)


def test_half_precision_features_are_ranked_in_float32():
    pids, camids, splits, features = world()
    half = features.bfloat16()
    assert evaluate(samples(pids, camids, splits, half))[0] == evaluate(samples(pids, camids, splits, half.float()))[0]


def test_camera_rule():
    pids, camids, splits = [1, 1, 1, 2], [0, 0, 1, 1], ['query', 'gallery', 'gallery', 'gallery']
    features = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.7, 0.7]])
    rows = samples(pids, camids, splits, features)
    assert evaluate(rows, cross_camera=True)[0]['reid/mAP'] == pytest.approx(50)
    assert evaluate(rows, cross_camera='auto')[0]['reid/mAP'] == pytest.approx(50)
    assert evaluate(rows, cross_camera=False)[0]['reid/mAP'] == pytest.approx(100 * (1 + 2 / 3) / 2)
    one_camera = samples(pids, [0] * 4, splits, features)
    assert evaluate(one_camera, cross_camera='auto')[0]['reid/num_valid_query'] == 1
    with pytest.raises(ValueError, match="cross_camera='yes'"):
        ReIDMetric(cross_camera='yes')


@pytest.mark.parametrize(
    ('name', 'value'),
    [*(('cmc_topk', value) for value in (5, '5', [1, 'x'], [0], [1.5], ())), ('roc_fpr', 0.1), ('roc_fpr', ['a'])],
)
def test_lists_of_numbers_are_checked(name, value):
    with pytest.raises(ValueError, match=re.escape(f'{name}={value!r} of ReIDMetric')):
        ReIDMetric(**{name: value})


def test_name_comes_from_the_data_set_or_the_prefix():
    metric = ReIDMetric()
    metric.dataset_meta = dict(dataset_name='market1501')
    assert metric.name == 'market1501'
    assert ReIDMetric(prefix='own').name == 'own'


class Records:
    def __init__(self, pids, camids, splits):
        self.pids, self.camids, self.splits = np.array(pids), np.array(camids), np.array(splits)
        self.modalities = np.array([''] * len(pids))

    def __len__(self):
        return len(self.pids)

    def get_data_info(self, i):
        return dict(img_path=f'{i}.jpg')


def test_unscorable_test_sets_are_explained_before_extraction(mmreid_log):
    splits = ['query', 'query', 'gallery', 'gallery']
    advice = '2 of 2 .*cameras in the data: 1.*test_evaluator.cross_camera=False'
    with pytest.raises(ValueError, match=advice):
        ReIDMetric(cross_camera=True).validate(Records([1, 2, 1, 2], [0] * 4, splits))
    with pytest.raises(ValueError, match='2 of 2 .* 2 .*absent'):
        ReIDMetric().validate(Records([1, 2, 3, 4], [0, 0, 1, 1], splits))
    with pytest.raises(ValueError, match='2 query images, 0 gallery images'):
        ReIDMetric().validate(Records([1, 2], [0, 0], splits[:2]))
    mmreid_log.clear()
    ReIDMetric().validate(Records([1, 2, 1, 4], [0, 0, 1, 1], splits))
    assert '1 of 2 queries' in mmreid_log.messages[-1]
    assert mmreid_log.messages[-1].endswith('1.jpg') and mmreid_log.records[-1].levelname == 'WARNING'
    mmreid_log.clear()
    ReIDMetric().validate(Records([1, 2, 1, 2], [0] * 4, splits))
    assert len(mmreid_log.records) == 1 and mmreid_log.records[0].levelname == 'WARNING'
    assert mmreid_log.messages[0].startswith(
        'reid | all 4 images are of one camera, so matches in the same camera count'
    )
    mmreid_log.clear()
    ReIDMetric(cross_camera=False).validate(Records([1, 2, 1, 2], [0] * 4, splits))
    assert mmreid_log.messages == ['reid | matches in the same camera are kept (cross_camera=False)']
    assert mmreid_log.records[0].levelname == 'INFO'


def test_a_sliced_test_set_is_refused():
    class Sliced(Records):
        def __len__(self):
            return 2

    with pytest.raises(ValueError, match="'reid' .*Sliced .*2 images .*BaseReIDDataset"):
        ReIDMetric().validate(Sliced([1, 1, 1], [0, 1, 1], ['query', 'gallery', 'gallery']))


def test_scores_are_computed_without_a_graph():
    seen = []

    def matcher(query, gallery):
        seen.append(torch.is_grad_enabled())
        return query @ gallery.t()

    metric = ReIDMetric()
    metric.matcher = matcher
    metric.process(None, samples(*world()))
    metric.evaluate(26)
    assert seen and not any(seen)


def test_ranked_lists_are_kept_on_request():
    _, metric = evaluate(samples(*world()), keep_top=3)
    assert metric.ranking.top.shape == (6, 3) and len(metric.records['gallery']) == 20


def test_without_matcher_or_with_bad_topk():
    metric = ReIDMetric()
    metric.process(None, samples(*world()))
    with pytest.raises(RuntimeError, match="ReIDMetric .*'ReIDValLoop'"):
        metric.evaluate(26)
    with pytest.raises(ValueError, match=r'cmc_topk=\(0, 1\)'):
        ReIDMetric(cmc_topk=(0, 1))


@pytest.mark.parametrize('post', ["[dict(type='KReciprocalRerank')]", ['KReciprocalRerank'], {'0': {'k1': 5}}])
def test_steps_that_are_no_steps_are_refused(post):
    with pytest.raises(ValueError, match='post=.* of ReIDMetric .*KReciprocalRerank'):
        ReIDMetric(post=post)


def test_a_misspelt_option_is_laid_to_the_metric_of_the_config():
    with pytest.raises(TypeError, match="ReIDMetric .*'cmc_top'.*'cmc_topk'"):
        with suggest_names():
            METRICS.build(dict(type='ReIDMetric', cmc_top=(1,)))


def test_options_of_the_protocol_reach_the_ranking():
    pids, camids, splits = [1, 2, 2, 1, 3, 1], [0, 1, 1, 1, 1, 1], ['query', *['gallery'] * 5]
    angles = torch.tensor([0, 0.1, 0.2, 0.3, 0.4, 0.5])
    rows = samples(pids, camids, splits, torch.stack([angles.cos(), angles.sin()], 1))
    plain = evaluate(rows, cmc_topk=(2, 3))[0]
    assert plain['reid/mAP'] == pytest.approx(100 * (1 / 3 + 2 / 5) / 2) and plain['reid/Rank-2'] == 0
    assert evaluate(rows, cmc='matches', cmc_topk=(2, 3))[0]['reid/Rank-3'] == 50  # the second has three wrong ahead
    other = evaluate(rows, ap='trapezoid', cmc='ids', cmc_topk=(2, 3), roc_fpr=[0.7])[0]
    assert other['reid/mAP'] == pytest.approx(100 * ((0 + 1 / 3) / 2 + (1 / 4 + 2 / 5) / 2) / 2)
    assert other['reid/Rank-2'] == 100  # the two images of 2 count once
    assert other['reid/TPR@0.7'] == 50  # two of three wrong pairs may be accepted: that lets one of two matches in
    single = evaluate(rows, cmc='single_shot', trials=50, cmc_topk=(1, 2, 3))[0]
    assert 0 == single['reid/Rank-1'] < single['reid/Rank-2'] < single['reid/Rank-3'] == 100
    for option, message in (
        (dict(ap='area'), "ap='area'"),
        (dict(cmc='all'), "cmc='all'"),
        (dict(roc_fpr=[1]), r'roc_fpr=\[1\]'),
    ):
        with pytest.raises(ValueError, match=message):
            ReIDMetric(**option)


def test_features_that_are_no_numbers_name_the_image():
    pids, camids, splits, features = world()
    features[9, 3] = float('nan')
    with pytest.raises(ValueError, match='gallery image 3 .9.jpg. .*NaN'):
        evaluate(samples(pids, camids, splits, features))
    features[9, 3] = 1e5  # fits a float, but not a half
    evaluate(samples(pids, camids, splits, features))
    with pytest.raises(ValueError, match='gallery image 3 .9.jpg. .*infinite'):
        evaluate(samples(pids, camids, splits, features), feature_dtype='float16')


def test_features_are_kept_in_half_precision_on_request():
    full, metric = evaluate(samples(*world()))
    half, small = evaluate(samples(*world()), feature_dtype='float16')
    assert small.test_set[0].feature.dtype == torch.float16 and metric.test_set[0].feature.dtype == torch.float32
    assert half['reid/mAP'] == pytest.approx(full['reid/mAP'], abs=2)
    with pytest.raises(ValueError, match="feature_dtype='int8'"):
        ReIDMetric(feature_dtype='int8')


def test_post_processed_values_stand_beside_the_plain_ones():
    class Backwards(PostProcess):
        label = 'backwards'

        def __call__(self, query, gallery, matcher, device=None, scores=None):
            assert query.pid is None and gallery.pid is None and len(gallery) == 20
            return -matcher(query.feature, gallery.feature)

    plain, _ = evaluate(samples(*world()))
    both, metric = evaluate(samples(*world()), post=[Backwards()])
    assert {key: value for key, value in both.items() if '+' not in key} == plain
    assert both['reid+backwards/mAP'] != plain['reid/mAP'] and both['reid+backwards/num_query'] == 6
    assert metric.ranking.mean_ap * 100 == pytest.approx(plain['reid/mAP'])


def test_a_plain_function_may_be_a_step():
    def backwards(query, gallery, matcher, device=None, scores=None):
        return -matcher(query.feature, gallery.feature)

    values, _ = evaluate(samples(*world()), post=[backwards])
    assert values['reid+function/mAP'] != values['reid/mAP']


def test_nothing_arrived():
    with pytest.raises(RuntimeError, match='0 features .*test_dataloader.dataset'):
        ReIDMetric().evaluate(3)


def test_one_identity_for_all_images_is_refused():
    splits = ['query', 'gallery', 'gallery']
    with pytest.raises(ValueError, match='3 images .*identity 7.*tools/search.py'):
        ReIDMetric().validate(Records([7] * 3, [0, 1, 1], splits))
    ReIDMetric().validate(Records([7, 7, 8], [0, 1, 1], splits))
