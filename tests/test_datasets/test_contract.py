# Copyright (c) mmreid contributors. All rights reserved.
"""What may be asked of data sets, inside wrappers and views too, and what is refused."""

import numpy as np
import pytest
from mmengine.dataset import RepeatDataset
from tiny_data import write_market
from torch.utils.data import ConcatDataset, Subset

from mmreid.datasets import ConcatReIDDataset, Market1501, RandomIdentitySampler, inner_datasets
from mmreid.datasets.preparation.leaks import shared_images
from mmreid.datasets.samplers import DomainView
from mmreid.registry import DATASETS


@pytest.fixture(scope='module')
def roots(tmp_path_factory):
    return [write_market(tmp_path_factory.mktemp(name), num_train=count) for name, count in (('a', 3), ('b', 4))]


@pytest.fixture(scope='module')
def joined(roots):
    parts = [dict(type='Market1501', data_root=str(root), name=f'set{i}') for i, root in enumerate(roots)]
    return ConcatReIDDataset(parts)


def test_wrappers_are_walked_to_the_data_sets_inside(roots, joined):
    single = Market1501(str(roots[0]))
    both = ConcatDataset([RepeatDataset(single, 2), RepeatDataset(joined, 1)])
    assert list(inner_datasets(both)) == [single, joined]
    assert list(inner_datasets(Subset(single, [0]))) == [single]
    assert list(inner_datasets([1, 2])) == []
    assert single.parts == [single] and single.part_names == ['market1501']
    assert [type(part) for part in joined.parts] == [Market1501] * 2 and joined.part_names == ['set0', 'set1']


def test_a_view_answers_for_its_own_images(joined):
    view = DomainView(joined, 1)
    assert len(view) == 24 and view.num_classes == 4 and view.name == 'set0+set1' and view.split == 'train'
    assert view.gt_labels.max() == 3 and set(view.domains) == {1} and set(view.splits) == {'train'}
    assert np.array_equal(view.camids, joined.camids[view.indices]) and set(view.modalities) == {''}
    assert view.get_data_info(0)['pid'] == view.pids[0] == joined.pids[view.indices[0]]
    assert view.num_corrupt == 0 and view.parts == [view]


def test_a_wrapper_in_place_of_a_data_set_is_refused(roots):
    wrapped = RepeatDataset(Market1501(str(roots[0])), 2)
    with pytest.raises(TypeError, match='RandomIdentitySampler .*gt_labels.* RepeatDataset '):
        RandomIdentitySampler(wrapped)
    with pytest.raises(TypeError, match='ImageSplit .* RepeatDataset'):
        dataset = dict(type='mmreid.Market1501', data_root=str(roots[0]))
        DATASETS.build(
            dict(type='ImageSplit', part=0, dataset=dict(type='mmengine.RepeatDataset', times=2, dataset=dataset))
        )


@pytest.mark.parametrize('link', ['symlink_to', 'hardlink_to'])
def test_a_linked_image_is_a_leak(tmp_path, link):
    root = write_market(tmp_path / 'data')
    test = Market1501(str(root), split='test')
    image = min((root / 'bounding_box_test').iterdir())
    copy = root / 'bounding_box_train' / image.name
    getattr(copy, link)(image)
    train = Market1501(str(root))
    assert shared_images(train, test) == [str(copy)]
    assert shared_images(RepeatDataset(train, 2), test) == [str(copy)]
    assert shared_images(test, train) == [str(image)]
