# Copyright (c) mmreid contributors. All rights reserved.
"""Held-out training identities, all data as training data, published counts."""

import numpy as np
import pytest
from tiny_data import write_image, write_market

from mmreid.datasets import Market1501
from mmreid.datasets.hold_out import as_query_and_gallery, held_out_pids

HOLD_OUT = dict(ratio=0.34, seed=0)


def test_held_out_identities_leave_the_training_set_and_become_query_and_gallery(tmp_path):
    root = str(write_market(tmp_path, num_train=6, cameras=2, images=3))
    whole, train = Market1501(root), Market1501(root, val_from_train=HOLD_OUT)
    val = Market1501(root, split='val', val_from_train=HOLD_OUT)
    assert set(train.pids).isdisjoint(val.pids)
    assert set(train.pids) | set(val.pids) == set(whole.pids)
    assert len(set(val.pids)) == 2 and train.num_classes == 4 and val.num_classes == 0
    assert len(train) + len(val) == len(whole)
    assert sorted(set(train.gt_labels)) == [0, 1, 2, 3]
    assert (val.splits == 'query').sum() == 2 * 2  # one per identity and camera
    assert list(val.splits) == sorted(val.splits, reverse=True), 'queries come first'
    assert val.test_mode


def test_hold_out_depends_on_the_seed_and_not_on_the_order():
    pids = np.arange(100)
    assert held_out_pids(pids, 0.2, 1) == held_out_pids(pids[::-1], 0.2, 1)
    assert held_out_pids(pids, 0.2, 1) != held_out_pids(pids, 0.2, 2)
    assert len(held_out_pids(pids, 0.2, 1)) == 20


@pytest.mark.parametrize('ratio', [0.0, 1.0, -0.1, 0.99])
def test_hold_out_leaves_identities_on_both_sides(ratio):
    with pytest.raises(ValueError, match=f'val_from_train .*ratio={ratio}'):
        held_out_pids([1, 2, 3], ratio)


def test_every_held_out_query_has_a_match_in_another_camera_where_there_is_one():
    def record(pid, camid):
        return dict(pid=pid, camid=camid, split='train')

    records = as_query_and_gallery([record(1, 0), record(1, 0), record(1, 1), record(2, 0), record(2, 1), record(3, 0)])
    assert [r['split'] for r in records] == ['query', 'gallery', 'gallery', 'query', 'gallery', 'query']


def test_held_out_infrared_images_query_visible_ones():
    records = as_query_and_gallery(
        [dict(pid=1, camid=0, modality='visible'), dict(pid=1, camid=2, modality='infrared')] * 2
    )
    assert [r['split'] for r in records] == ['gallery', 'query'] * 2


def test_val_needs_a_hold_out_and_a_hold_out_needs_its_form():
    with pytest.raises(ValueError, match="split='val' of Market1501 .*val_from_train=dict"):
        Market1501('x', split='val')
    with pytest.raises(ValueError, match="val_from_train={'share': 0.1} of Market1501"):
        Market1501('x', val_from_train=dict(share=0.1))


def test_combine_all_trains_on_query_and_gallery_without_distractors(tmp_path):
    root = write_market(tmp_path, num_train=3, num_test=2)
    write_image(root / 'bounding_box_test' / '0000_c1s1_000001_00.jpg')
    train, test = Market1501(str(root), combine_all=True), Market1501(str(root), split='test')
    assert 0 in test.pids and 0 not in train.pids
    assert train.num_classes == 5 and set(train.splits) == {'train'}
    assert len(train) == len(Market1501(str(root))) + len(test) - 1


def test_other_counts_than_published_are_said_but_not_for_procedural_data(tmp_path, mmreid_log):
    root = write_market(tmp_path)
    Market1501(str(root))
    assert 'train: found 36 images, expected 12,936' in mmreid_log.text
    mmreid_log.clear()
    (root / 'world.json').write_text('{"counts": {"bounding_box_train": 36}}')
    Market1501(str(root))
    assert 'expected' not in mmreid_log.text
    real = write_market(root / 'Market-1501-v15.09.15')  # beside procedural data
    Market1501(str(real))
    assert 'train: found 36 images, expected 12,936' in mmreid_log.text
    mmreid_log.clear()
    (root / 'world.json').rename(real / 'world.json')
    (root / 'bounding_box_train').rename(tmp_path / 'gone')
    Market1501(str(root))  # found in a folder below
    assert 'expected' not in mmreid_log.text
