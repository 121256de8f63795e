# Copyright (c) mmreid contributors. All rights reserved.
"""Source and target as one training set: labels, slots, cameras, and what is refused."""

import numpy as np
import pytest
from tiny_data import write_market

from mmreid.datasets import MultiDomainBatchSampler
from mmreid.datasets.samplers import RepeatedImageBatchSampler
from mmreid.registry import DATA_SAMPLERS, DATASETS


@pytest.fixture(scope='module')
def roots(tmp_path_factory):
    source = write_market(tmp_path_factory.mktemp('source'), num_train=3, cameras=3, images=1)
    target = write_market(tmp_path_factory.mktemp('target'), num_train=5, cameras=2, images=2)
    return source, target


def build(*roots, **kwargs):
    parts = [dict(type='Market1501', data_root=str(root), name=f'set{i}') for i, root in enumerate(roots)]
    return DATASETS.build(dict(type='SourceTargetDataset', datasets=parts, **kwargs))


def test_slots_number_the_target_images_and_classes_the_source_identities(roots):
    dataset = build(*roots)
    assert (dataset.num_classes, dataset.num_target, len(dataset)) == (3, 20, 29)
    records = [dataset.get_data_info(i) for i in range(len(dataset))]
    assert [record.get('slot') for record in records] == [None] * 9 + list(range(20))
    assert {record['camid'] for record in records[9:]} == {3, 4}  # moved behind the source's
    assert {record['style_camid'] for record in records[9:]} == {0, 1}
    assert max(record['gt_label'] for record in records[:9]) == 2
    assert dataset.metainfo['num_classes'] == 3


def test_a_subset_numbers_its_own_slots(roots):
    subset = build(*roots).get_subset([0, 3, 6, 10, 12, 28])
    assert subset.num_target == 3
    assert [subset.get_data_info(i).get('slot') for i in range(6)] == [None] * 3 + [0, 1, 2]


def test_the_last_data_set_is_the_target(roots, tmp_path):
    more = write_market(tmp_path / 'more', num_train=2, cameras=1, images=1)
    dataset = build(roots[0], more, roots[1])
    assert (dataset.num_classes, dataset.num_target, dataset.target_domain) == (5, 20, 2)


def test_one_data_set_or_test_data_are_refused(roots):
    with pytest.raises(ValueError, match='SourceTargetDataset .*datasets has 1'):
        build(roots[0])
    parts = [dict(type='Market1501', data_root=str(root), split='test') for root in roots]
    with pytest.raises(ValueError, match="SourceTargetDataset .*split='test'"):
        DATASETS.build(dict(type='SourceTargetDataset', datasets=parts, lazy_init=True))


def test_the_same_set_twice_is_warned_of(roots, mmreid_log):
    build(roots[0], roots[0])
    assert 'did you mean the same data set twice?' in mmreid_log.text


def test_a_target_of_fewer_images_than_its_part_of_the_batch_is_refused(roots):
    sampler = dict(type='DefaultSampler', dataset=build(*roots), shuffle=True)
    parts = [dict(domain=0, batch_size=4), dict(domain=1, batch_size=24)]
    with pytest.raises(ValueError, match='domain 1: batch_size=24 .* 20'):
        MultiDomainBatchSampler(DATA_SAMPLERS.build(sampler), 28, parts)


def test_images_twice_in_a_batch(roots):
    dataset = build(*roots)
    sampler = DATA_SAMPLERS.build(dict(type='DefaultSampler', dataset=dataset, shuffle=True, seed=0))
    twice = dict(type='RepeatedImageBatchSampler', views=2)
    parts = [dict(domain=0, batch_size=4), dict(domain=1, batch_size=6, batch_sampler=twice)]
    alone = RepeatedImageBatchSampler(sampler, 6, views=2)
    assert alone.batch_size == 6 == len(next(iter(alone))) and len(alone) == len(sampler.dataset) // 3
    batches = list(MultiDomainBatchSampler(sampler, 10, parts, length_of=1))
    assert len(batches) == 6
    for batch in batches:
        target = np.array(batch[4:])
        assert np.array_equal(target[:3], target[3:]) and len(set(target)) == 3 and target.min() >= 9
    parts[1]['batch_sampler'] = dict(type='RepeatedImageBatchSampler', views=4)
    with pytest.raises(ValueError, match='batch_size=6 .*views=4'):
        MultiDomainBatchSampler(sampler, 10, parts)
