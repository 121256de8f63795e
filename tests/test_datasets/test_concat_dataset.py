# Copyright (c) mmreid contributors. All rights reserved.
"""Several data sets as one."""

from pathlib import Path

import numpy as np
import pytest
from tiny_data import write_image, write_market

from mmreid.datasets import ConcatReIDDataset, Market1501
from mmreid.datasets.transforms.loading import CorruptImageError
from mmreid.registry import DATASETS

PIPELINE = [dict(type='LoadReIDImage'), dict(type='PackReIDInputs')]


@pytest.fixture
def roots(tmp_path):
    return [
        str(write_market(tmp_path / name, num_train=ids, cameras=cams))
        for name, ids, cams in (('a', 3, 2), ('b', 4, 3))
    ]


def parts(roots, **kwargs):
    return [
        dict(type='mmreid.Market1501', data_root=root, name=name, **kwargs)
        for root, name in zip(roots, 'ab', strict=True)
    ]


def test_ids_and_cameras_of_different_data_sets_never_meet(roots):
    both = ConcatReIDDataset(parts(roots))
    alone = [Market1501(root) for root in roots]
    assert len(both) == sum(map(len, alone)) and both.num_classes == 7
    assert both.name == 'a+b' and both.part_names == ['a', 'b']
    for domain, single in enumerate(alone):
        mine = both.domains == domain
        assert mine.sum() == len(single)
        assert len(set(both.pids[mine])) == single.num_classes
        assert len(set(both.camids[mine])) == len(set(single.camids))
        assert (np.diff(both.pids[mine]) == np.diff(single.pids)).all()
    assert set(both.pids[both.domains == 0]).isdisjoint(both.pids[both.domains == 1])
    assert set(both.camids[both.domains == 0]).isdisjoint(both.camids[both.domains == 1])
    assert sorted(set(both.gt_labels)) == list(range(7))


def test_records_carry_domain_label_and_index(roots):
    both = DATASETS.build(dict(type='mmreid.ConcatReIDDataset', datasets=parts(roots), pipeline=PIPELINE))
    sample = both[len(both) - 1]['data_samples']
    assert sample.domain == 1 and sample.sample_idx == len(both) - 1
    assert int(sample.gt_label) == both.num_classes - 1 and sample.pid == both.pids[-1]


def test_a_part_may_have_its_own_pipeline(roots):
    configs = parts(roots)
    configs[1]['pipeline'] = [
        dict(type='LoadReIDImage'),
        dict(type='Resize', scale=(16, 32)),
        dict(type='PackReIDInputs'),
    ]
    both = ConcatReIDDataset(configs, pipeline=PIPELINE)
    assert both[0]['inputs'].shape == (3, 64, 32)
    assert both[len(both) - 1]['inputs'].shape == (3, 32, 16)


def test_test_sets_join_as_query_then_gallery(roots):
    both = ConcatReIDDataset(parts(roots, split='test'))
    assert list(both.splits) == sorted(both.splits, reverse=True)
    assert (both.splits == 'query').sum() == 4 * 2 + 4 * 3


def test_a_hold_out_belongs_to_the_parts(roots):
    hold_out = dict(ratio=0.34, seed=0)
    train = ConcatReIDDataset(parts(roots, val_from_train=hold_out))
    val = ConcatReIDDataset(parts(roots, split='val', val_from_train=hold_out))
    assert train.num_classes == 2 + 3 and len(set(val.pids)) == 2
    assert set(val.splits) == {'query', 'gallery'}
    with pytest.raises(ValueError, match='val_from_train=.*ConcatReIDDataset'):
        ConcatReIDDataset(parts(roots), val_from_train=hold_out)


def test_validation_identities_of_the_parts(tmp_path):
    for name in 'ab':
        write_image(tmp_path / f'{name}.png')
    (tmp_path / 'list.csv').write_text('img_path,pid,camid,split\na.png,x,0,val\nb.png,x,1,val\n')
    part = dict(type='mmreid.CsvReIDDataset', data_root=str(tmp_path), ann_file='list.csv', split='val')
    val = ConcatReIDDataset([part, part])
    assert val.pids.tolist() == [0, 1, 0, 1] and val.splits.tolist() == ['query'] * 2 + ['gallery'] * 2


def test_unreadable_images_are_skipped_in_those_parts_that_say_so(roots):
    configs = parts(roots)
    configs[1]['on_corrupt'] = 'skip'
    both = ConcatReIDDataset(configs, pipeline=PIPELINE)
    for index in (0, len(both) - 1):
        Path(both.get_data_info(index)['img_path']).write_bytes(b'')
    assert both[len(both) - 1]['data_samples'].pid == both.pids[-1] and both.num_corrupt == 1
    with pytest.raises(CorruptImageError, match='0002_c1s1_000002_00.jpg .0 bytes'):
        both[0]
    with pytest.raises(ValueError, match="on_corrupt='skip' .*ConcatReIDDataset"):
        ConcatReIDDataset(configs, on_corrupt='skip')


def test_the_same_data_set_twice_is_said(roots, mmreid_log):
    ConcatReIDDataset(parts([roots[0], roots[0]]))
    assert '18 images are in more than one of its data sets' in mmreid_log.text


def test_what_cannot_be_joined_is_refused(roots):
    with pytest.raises(ValueError, match=r"ConcatReIDDataset .*\['train', 'test'\]"):
        ConcatReIDDataset([parts(roots)[0], parts(roots, split='test')[1]])
    with pytest.raises(ValueError, match=r'ConcatReIDDataset .*\[\]'):
        ConcatReIDDataset([])
    with pytest.raises(ValueError, match='got a ConcatReIDDataset'):
        ConcatReIDDataset([dict(type='mmreid.ConcatReIDDataset', datasets=parts(roots))])


def test_subsets_keep_ids_in_step(roots):
    both = ConcatReIDDataset(parts(roots))
    few = both.get_subset([0, len(both) - 1])
    assert list(few.domains) == [0, 1] and list(few.gt_labels) == [0, 1]
