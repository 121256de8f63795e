# Copyright (c) mmreid contributors. All rights reserved.
from multiprocessing.reduction import ForkingPickler
from pickle import loads

import pytest
import torch

from mmreid.structures import ReIDDataSample, stack_field


def test_survives_the_way_out_of_a_worker():
    sample = ReIDDataSample(metainfo=dict(pid=7, img_path='a')).set_gt_label(3).set_feature(torch.ones(2))
    copy = loads(bytes(ForkingPickler.dumps(sample)))
    assert type(copy) is ReIDDataSample and copy.pid == 7
    torch.testing.assert_close(copy.feature, torch.ones(2))
    assert isinstance(sample.feature, torch.Tensor)  # packing must not change the original


def test_stack_field():
    samples = [ReIDDataSample(metainfo=dict(pid=pid)).set_gt_label(pid - 5) for pid in (7, 9)]
    assert stack_field(samples, 'pid').tolist() == [7, 9]
    assert stack_field(samples, 'gt_label').tolist() == [2, 4]
    with pytest.raises(KeyError, match="'camid'.*PackReIDInputs"):
        stack_field(samples, 'camid')
