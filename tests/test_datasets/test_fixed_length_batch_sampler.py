# Copyright (c) mmreid contributors. All rights reserved.
"""Epochs of a given number of batches, shorter or longer than the data set."""

import pytest
from mmengine.dataset import DefaultSampler

from mmreid.datasets.samplers import FixedLengthBatchSampler


def batches_of(epoch=0, **kwargs):
    base = DefaultSampler(range(10), shuffle=True, seed=3)
    base.set_epoch(epoch)
    sampler = FixedLengthBatchSampler(base, 4, **kwargs)
    batches = list(sampler)
    assert len(batches) == len(sampler)
    return batches


@pytest.mark.parametrize('length', [1, 2, 7])
def test_an_epoch_has_the_wanted_length(length):
    batches = batches_of(batches_per_epoch=length)
    assert len(batches) == length and all(len(set(batch)) == 4 for batch in batches)
    assert batches != batches_of(epoch=1, batches_per_epoch=length)


def test_all_are_shown_before_one_comes_again():
    shown = sum(batches_of(batches_per_epoch=5), [])
    assert sorted(shown[:10]) == sorted(shown[10:]) == list(range(10))


def test_ranks_divide_a_global_batch():
    whole = [sorted(batch) for batch in batches_of(batches_per_epoch=3)]
    base = DefaultSampler(range(10), shuffle=True, seed=3)
    halves = [list(FixedLengthBatchSampler(base, 2, batches_per_epoch=3, rank=rank, world_size=2)) for rank in range(2)]
    assert [sorted(first + second) for first, second in zip(*halves, strict=True)] == whole


def test_refuses_an_empty_epoch():
    with pytest.raises(ValueError, match='batches_per_epoch=0'):
        batches_of(batches_per_epoch=0)
