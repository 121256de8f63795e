# Copyright (c) mmreid contributors. All rights reserved.
import pytest
import torch

from mmreid.evaluation import RetrievalSet, RetrievalTask
from mmreid.evaluation.retrieval_set import split_by_role

COLUMNS = dict(
    split=['query', 'gallery', 'gallery', 'train'], pid=[3, 3, 5, 9], camid=[0, 1, 1, 2], sample_idx=[7, 4, 5, 6],
    timestamp=[1.5, None, 2.0, 3.0], modality=[None, 'visible', 'infrared', None],
)  # fmt: skip


def test_images_are_split_by_role_and_times_need_all():
    feature = torch.arange(8.0).view(4, 2)
    query, gallery = split_by_role(COLUMNS, feature)
    assert (len(query), len(gallery)) == (1, 2)
    assert query.timestamp.dtype == torch.float64 and gallery.timestamp is None
    assert gallery.pid.tolist() == [3, 5] and gallery.feature.tolist() == [[2, 3], [4, 5]]
    assert gallery.modality == ['visible', 'infrared'] and gallery.img_path is None


def test_some_images_are_taken_in_their_order():
    _, gallery = split_by_role(COLUMNS)
    taken = gallery.take(torch.tensor([1, 0, 1]))
    assert taken.pid.tolist() == [5, 3, 5] and taken.sample_idx == [5, 4, 5] and taken.feature is None
    assert set(taken.known()) == {'pid', 'camid', 'sample_idx', 'modality'}
    task = RetrievalTask(gallery, gallery, {'': [None, torch.tensor([1])]})
    assert task.drawn(None) is gallery and task.drawn(torch.tensor([1])).pid.tolist() == [5]


def test_fields_of_another_length_are_refused():
    with pytest.raises(ValueError, match='img_path has 1 entries for 2 images'):
        RetrievalSet(torch.tensor([1, 2]), torch.tensor([0, 0]), img_path=['a.jpg'])
