# Copyright (c) mmreid contributors. All rights reserved.
from types import SimpleNamespace

import numpy as np
import pytest

from mmreid.datasets import IdentityBatchSampler, KInstanceSampler, RandomIdentitySampler


def make(counts, batch_size=8, k=2, rank=0, world_size=1, seed=0, **kwargs):
    dataset = SimpleNamespace(gt_labels=np.repeat(np.arange(len(counts)), counts))
    identity_sampler = RandomIdentitySampler(dataset, seed=seed, **kwargs)
    instance_sampler = KInstanceSampler(num_instances=k)
    return IdentityBatchSampler(
        identity_sampler, batch_size, instance_sampler=instance_sampler, rank=rank, world_size=world_size
    )


def labels_of(sampler, batch):
    return sampler.sampler.labels[batch].reshape(-1, sampler.instance_sampler.num_instances)


@pytest.mark.parametrize('counts', [[5] * 10, [1, 2, 3, 9, 30, 2, 2, 7], [1] * 4])
@pytest.mark.parametrize('k', [1, 2, 4])
def test_batches_are_p_different_classes_of_k_images(counts, k):
    sampler = make(counts, batch_size=4 * k, k=k, batches_per_epoch=40)
    batches = list(sampler)
    assert len(batches) == len(sampler) == 40
    for batch in batches:
        rows = labels_of(sampler, batch)
        assert (rows == rows[:, :1]).all() and len(set(rows[:, 0])) == 4
        for row, images in zip(rows, np.reshape(batch, (4, k)), strict=True):
            assert len(set(images)) == min(k, counts[row[0]])


@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('k', [1, 2, 5])
def test_images_are_walked_before_reuse(seed, k):
    counts = np.random.default_rng(seed).integers(1, 12, 6)
    sampler = make(counts, batch_size=3 * k, k=k, batches_per_epoch=80)
    stream = np.concatenate(list(sampler))
    for label, count in enumerate(counts):
        drawn = stream[sampler.sampler.labels[stream] == label]
        assert len(drawn) >= 3 * count
        for start in range(0, len(drawn) - count + 1, count):
            assert len(set(drawn[start : start + count])) == count


def test_classes_are_met_equally_often():
    sampler = make([4] * 10, batch_size=8, k=2, batches_per_epoch=25)
    met = np.bincount([row[0] for batch in sampler for row in labels_of(sampler, batch)])
    assert met.tolist() == [10] * 10


def test_default_length_shows_about_all_images():
    assert len(make([10] * 16, batch_size=8)) == 20
    assert len(make([1] * 5, batch_size=8)) == 1


def test_choice_depends_on_seed_and_epoch_only():
    def epoch(number, seed=0):
        sampler = make([5] * 10, seed=seed)
        sampler.sampler.set_epoch(number)
        return list(sampler)

    assert epoch(3) == epoch(3)
    assert epoch(3) != epoch(4) and epoch(3) != epoch(3, seed=1)
    sampler = make([5] * 10)
    assert list(sampler) == list(sampler)  # walking it again within an epoch changes nothing


@pytest.mark.parametrize('world_size', [2, 3])
def test_ranks_share_the_batches_of_one_large_rank(world_size):
    counts = [3, 4, 5, 1] * 6
    ranks = [make(counts, batch_size=8, rank=rank, world_size=world_size) for rank in range(world_size)]
    whole = make(counts, batch_size=8 * world_size)
    assert {len(sampler) for sampler in ranks} == {len(whole)}
    for parts, batch in zip(zip(*ranks, strict=True), whole, strict=True):
        assert [index for part in parts for index in part] == batch
        groups = [set(labels_of(whole, part)[:, 0]) for part in parts]
        assert len(set().union(*groups)) == 4 * world_size


def test_impossible_batches_fail_at_build_with_the_numbers():
    with pytest.raises(ValueError, match='batch_size=9 .*batch_size = P x 2'):
        make([5] * 10, batch_size=9)
    with pytest.raises(
        ValueError,
        match='batch_size=8 / 2 .* 4 .* 3; .*train_dataloader.batch_size .* 6',
    ):
        make([5] * 3)
    with pytest.raises(ValueError, match='batch_size=8 / 2 .* 2 ranks .* 8 .* 5; .* 4'):
        make([5] * 5, world_size=2)
    with pytest.raises(ValueError, match='num_instances=0'):
        make([5] * 5, k=0)
    with pytest.raises(ValueError, match='batches_per_epoch=0'):
        make([5] * 5, batches_per_epoch=0)
    with pytest.raises(ValueError, match="split='train'"):
        RandomIdentitySampler(SimpleNamespace(gt_labels=np.zeros(0)))


class Overlapping(RandomIdentitySampler):
    """Chooses for each rank alone, so that ranks and following batches share classes."""

    def check_batch(self, classes_per_batch, world_size, images_per_class):
        assert classes_per_batch <= self.num_classes

    def batches(self, classes_per_batch, num_batches):
        rng = self.rng(0)
        for _ in range(num_batches):
            yield np.concatenate([rng.permutation(self.classes)[:4] for _ in range(classes_per_batch // 4)])


def test_an_identity_sampler_may_give_the_same_class_to_several_ranks():
    counts = [3, 9, 5, 1, 7]
    labels = np.repeat(np.arange(5), counts)

    def rank_of_two(rank):
        identity_sampler = Overlapping(SimpleNamespace(gt_labels=labels), seed=0, batches_per_epoch=40)
        return IdentityBatchSampler(identity_sampler, 8, KInstanceSampler(2), rank=rank, world_size=2)

    ranks = [list(rank_of_two(rank)) for rank in range(2)]
    assert [len(batches) for batches in ranks] == [40, 40]
    for batch in ranks[0] + ranks[1]:
        assert len(set(labels[batch])) == 4
    stream = np.array([ranks[turn % 2][turn // 2] for turn in range(80)]).reshape(-1)
    for label, count in enumerate(counts):
        drawn = stream[labels[stream] == label]
        for start in range(0, len(drawn) - count + 1, count):
            assert len(set(drawn[start : start + count])) == count
