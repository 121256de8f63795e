# Copyright (c) mmreid contributors. All rights reserved.
"""Training identities, some of which are held out to judge a model by."""

import numpy as np
import pytest
import tiny_search  # noqa: F401  registers PlantedImages

from mmreid.datasets.identity_split import hold_out
from mmreid.evaluation.metrics import RegDBMetric
from mmreid.registry import DATASETS


def part(name, num_ids=12, **kwargs):
    return DATASETS.build(
        dict(type='IdentitySplit', part=name, dataset=dict(type='PlantedImages', num_ids=num_ids, images=3), **kwargs)
    )


def held(fold, folds=3, seed=0, **changes):
    images = dict(pids=np.repeat(np.arange(12), 4), camids=np.tile([0, 1, 2, 3], 12))
    images['modalities'] = np.where(images['camids'] < 2, 'visible', 'infrared')
    return hold_out(**{**images, **changes}, folds=folds, fold=fold, seed=seed).tolist()


def test_parts_are_a_training_set_and_a_test_set_of_other_people():
    train, held_out = part('train'), part('held_out')
    assert not set(train.pids) & set(held_out.pids) and len({*train.pids, *held_out.pids}) == 12
    assert len(set(held_out.pids)) == 4 and train.num_classes == 8 and held_out.num_classes == 0
    assert np.array_equal(np.unique(train.gt_labels), np.arange(8)) and train.get_data_info(0)['gt_label'] == 0
    assert held_out.split == 'val' and held_out.test_mode and 'gt_label' not in held_out.get_data_info(0)
    assert set(held_out.modalities[held_out.splits == 'query']) == {'infrared'}
    assert set(held_out.modalities[held_out.splits == 'gallery']) == {'visible'}
    assert [held_out.get_data_info(i)['split'] for i in range(len(held_out))] == held_out.splits.tolist()
    assert held_out.splits.tolist() == sorted(held_out.splits.tolist(), key=lambda split: split != 'query')
    RegDBMetric().validate(held_out)


def test_folds_are_disjoint_and_complete_and_later_ones_are_dealt_anew():
    folds = [held(fold) for fold in range(6)]
    assert sorted(sum(folds[:3], [])) == sorted(sum(folds[3:], [])) == list(range(12))
    assert folds[0] == held(0) and sorted(map(tuple, folds[:3])) != sorted(map(tuple, folds[3:]))
    assert held(0) != held(0, seed=1)


def test_the_division_does_not_depend_on_the_order_of_the_images():
    order = np.random.default_rng(0).permutation(48)
    pids, camids = np.repeat(np.arange(12), 4)[order], np.tile([0, 1, 2, 3], 12)[order]
    assert held(1) == held(1, pids=pids, camids=camids, modalities=np.where(camids < 2, 'visible', 'infrared'))


def test_people_of_one_modality_are_trained_on():
    infrared = np.where(np.arange(48) < 8, 'visible', np.tile(['visible', 'visible', 'infrared', 'infrared'], 12))
    assert sorted(held(0, modalities=infrared) + held(1, modalities=infrared) + held(2, modalities=infrared)) == list(
        range(2, 12)
    )


def test_each_fold_has_people_of_each_set_of_cameras():
    camids = np.tile([0, 1, 2, 3], 12)
    camids[24:] += 4  # half of the people were seen by four other cameras
    for fold in range(3):
        found = held(fold, camids=camids, modalities=np.where(camids % 4 < 2, 'visible', 'infrared'))
        assert len(found) == 4 and sum(pid < 6 for pid in found) == 2


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(name='half'), "part='half'"),
        (dict(folds=1), 'folds=1'),
        (dict(fold=-1), 'fold=-1'),
        (dict(num_ids=5), 'at least 6 .*both modalities.* has 5'),
        (dict(num_ids=8, folds=5), 'at least 10 .* has 8'),
    ],
)
def test_refusals(kwargs, message):
    with pytest.raises(ValueError, match=message):
        part(**{'name': 'train'} | kwargs)


def test_refuses_test_sets():
    with pytest.raises(ValueError, match="IdentitySplit .*split='test'"):
        DATASETS.build(dict(type='IdentitySplit', part='train', dataset=dict(type='PlantedImages', split='test')))
