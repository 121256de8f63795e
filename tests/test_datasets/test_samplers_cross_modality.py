# Copyright (c) mmreid contributors. All rights reserved.
"""Batches of two modalities: the instance sampler of ours and the stream of the authors of CM-NAS."""

from pathlib import Path

import numpy as np
import pytest
from mmengine.dataset import DefaultSampler

from mmreid.datasets import (
    CMNASReferenceSampler,
    CrossModalityInstanceSampler,
    IdentityBatchSampler,
    RandomIdentitySampler,
)
from mmreid.registry import DATA_SAMPLERS

GOLDEN = Path(__file__).parents[1] / 'data' / 'golden' / '03_cmnas_identity_sampler.npz'


class Data:
    """The arrays of a data set."""

    def __init__(self, labels, modalities):
        self.gt_labels, self.pids, self.modalities = labels, 100 + labels, modalities

    def __len__(self):
        return len(self.gt_labels)


def people(visible, infrared):
    """Identity i has visible[i] and infrared[i] images, in random order, and pid 100 + i."""
    labels = np.concatenate([np.repeat(np.arange(len(n)), n) for n in (visible, infrared)])
    modalities = np.repeat(['visible', 'infrared'], [sum(visible), sum(infrared)])
    order = np.random.default_rng(0).permutation(len(labels))
    return Data(labels[order], modalities[order])


def make(visible, infrared, batch_size=16, k=2, rank=0, world_size=1, on_missing='raise', epoch=0, seed=0, **kwargs):
    identity_sampler = RandomIdentitySampler(people(visible, infrared), seed=seed, **kwargs)
    identity_sampler.set_epoch(epoch)
    instance_sampler = CrossModalityInstanceSampler(num_instances=k, on_missing=on_missing)
    return IdentityBatchSampler(
        identity_sampler, batch_size, instance_sampler=instance_sampler, rank=rank, world_size=world_size
    )


def random_counts(seed, largest=12):
    return np.random.default_rng(seed).integers(1, largest, (2, 9))


@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('k', [1, 3])
def test_a_batch_is_visible_then_infrared_with_the_same_identities(seed, k):
    visible, infrared = random_counts(seed)
    sampler = make(visible, infrared, batch_size=8 * k, k=k, batches_per_epoch=30)
    data = sampler.sampler.dataset
    assert len(list(sampler)) == len(sampler) == 30
    for batch in sampler:
        first, second = np.reshape(batch, (2, 4 * k))
        assert (data.modalities[first] == 'visible').all() and (data.modalities[second] == 'infrared').all()
        assert (data.gt_labels[first] == data.gt_labels[second]).all()
        for half, counts in ((first, visible), (second, infrared)):
            rows = half.reshape(4, k)
            labels = data.gt_labels[rows]
            assert (labels == labels[:, :1]).all() and len(set(labels[:, 0])) == 4
            assert [len(set(row)) for row in rows] == np.minimum(k, counts[labels[:, 0]]).tolist()


@pytest.mark.parametrize('seed', range(3))
def test_images_of_each_modality_are_walked_before_reuse(seed):
    visible, infrared = random_counts(seed)
    sampler = make(visible, infrared, batch_size=12, batches_per_epoch=60)
    data = sampler.sampler.dataset
    stream = np.concatenate(list(sampler))
    for modality, counts in (('visible', visible), ('infrared', infrared)):
        for label, count in enumerate(counts):
            drawn = [i for i in stream if data.gt_labels[i] == label and data.modalities[i] == modality]
            assert len(drawn) >= 2 * count
            for start in range(0, len(drawn) - count + 1, count):
                assert len(set(drawn[start : start + count])) == count


@pytest.mark.parametrize('world_size', [2, 3])
def test_each_rank_has_both_halves_of_its_own_identities(world_size):
    visible, infrared = random_counts(5)
    sizes = dict(k=3, batches_per_epoch=20)
    ranks = [make(visible, infrared, 12, rank=rank, world_size=world_size, **sizes) for rank in range(world_size)]
    whole = make(visible, infrared, 12 * world_size, **sizes)
    labels = whole.sampler.labels
    for parts, batch in zip(zip(*ranks, strict=True), whole, strict=True):
        halves = np.concatenate([np.reshape(part, (2, -1)) for part in parts], axis=1)
        assert halves.reshape(-1).tolist() == batch
        assert sum(len(set(labels[part])) for part in parts) == len(set(labels[batch])) == 2 * world_size


def test_choice_depends_on_seed_and_epoch_only():
    counts = [[5] * 8] * 2
    assert list(make(*counts, epoch=3)) == list(make(*counts, epoch=3))
    assert list(make(*counts, epoch=3)) != list(make(*counts, epoch=4))
    assert list(make(*counts, epoch=3)) != list(make(*counts, epoch=3, seed=1))


def test_identities_of_one_modality_are_refused_or_left_out():
    visible, infrared = [4, 0, 4, 4, 0, 4, 4], [4, 4, 4, 0, 4, 4, 4]
    with pytest.raises(ValueError, match=r"3 of 7 .*pid 101 \(infrared\), 103 \(visible\), 104 .*on_missing='drop'"):
        make(visible, infrared)
    sampler = make(visible, infrared, on_missing='drop', batches_per_epoch=20)
    assert set(sampler.sampler.labels[np.concatenate(list(sampler))]) == {0, 2, 5, 6}
    assert len(make(visible, infrared, on_missing='drop')) == 3  # 16 // 8 visible images of the four left, + 1
    with pytest.raises(ValueError, match='batch_size=20 / 4 .* 5 .* 4; .* 16'):
        make(visible, infrared, batch_size=20, on_missing='drop')


@pytest.mark.parametrize(
    ('classes', 'visible', 'infrared', 'batches'),
    [(395, 22258, 11909, 348), (206, 2060, 2060, 33), (395, 11909, 22258, 348)],
    ids=['SYSU-MM01', 'RegDB', 'more infrared'],
)
def test_an_epoch_is_as_long_as_the_official_one(classes, visible, infrared, batches):
    counts = [np.bincount(np.arange(images) % classes) for images in (visible, infrared)]
    data = people(*counts)
    for world_size in (1, 2):
        sizes = dict(batch_size=128 // world_size, rank=0, world_size=world_size)
        instance_sampler = CrossModalityInstanceSampler(4)
        ours = IdentityBatchSampler(RandomIdentitySampler(data, seed=0), instance_sampler=instance_sampler, **sizes)
        theirs = CMNASReferenceSampler(DefaultSampler(data, seed=0), num_instances=4, **sizes)
        assert len(ours) == len(theirs) == batches


def test_data_without_modality_and_misspelt_options_are_refused():
    data = people([4] * 4, [4] * 4)
    data.modalities[:3] = ''
    with pytest.raises(ValueError, match="CrossModalityInstanceSampler .* 3 of 32 .*''"):
        IdentityBatchSampler(RandomIdentitySampler(data, seed=0), 8, instance_sampler=CrossModalityInstanceSampler(2))
    del data.modalities
    with pytest.raises(TypeError, match='CrossModalityInstanceSampler .*modalities .* Data '):
        IdentityBatchSampler(RandomIdentitySampler(data, seed=0), 8, instance_sampler=CrossModalityInstanceSampler(2))
    with pytest.raises(ValueError, match="on_missing='skip' .*'raise' .*'drop'"):
        CrossModalityInstanceSampler(on_missing='skip')


def official(rank=0, world_size=1, epoch=0, batch_size=16):
    golden = np.load(GOLDEN)
    labels = np.concatenate([golden['label_v'], golden['label_t']])
    modalities = np.repeat(['visible', 'infrared'], [len(golden['label_v']), len(golden['label_t'])])
    carrier = DefaultSampler(Data(labels, modalities), seed=int(golden['np_random_seed']))
    carrier.set_epoch(epoch)
    config = dict(type='mmreid.CMNASReferenceSampler', num_instances=int(golden['num_pos']))
    arguments = dict(sampler=carrier, batch_size=batch_size, rank=rank, world_size=world_size)
    return golden, DATA_SAMPLERS.build(config, default_args=arguments)


def test_the_stream_of_the_authors_is_drawn_number_for_number():
    golden, stream = official()
    assert stream.batch_size == 2 * golden['batch_size']
    batches = np.array(list(stream)).reshape(len(stream), 2, -1)
    np.testing.assert_array_equal(batches[:, 0].ravel(), golden['index_visible'])
    np.testing.assert_array_equal(batches[:, 1].ravel() - len(golden['label_v']), golden['index_thermal'])


def test_the_stream_of_the_authors_runs_on_over_epochs_and_resumes():
    _, stream = official()
    epochs = []
    for epoch in range(3):
        stream.sampler.set_epoch(epoch)
        epochs.append(list(stream))
        assert list(stream) == epochs[-1]
    assert epochs[0] != epochs[1] != epochs[2]
    assert list(official(epoch=2)[1]) == epochs[2]
    stream.sampler.set_epoch(1)
    assert list(stream) == epochs[1]


def test_ranks_share_the_stream_of_the_authors():
    ranks = [official(rank=rank, world_size=2, batch_size=8)[1] for rank in range(2)]
    for batch, *parts in zip(official()[1], *ranks, strict=True):
        halves = np.concatenate([np.reshape(part, (2, -1)) for part in parts], axis=1)
        assert halves.reshape(-1).tolist() == batch


def test_the_stream_of_the_authors_refuses_what_it_cannot_draw():
    carrier = DefaultSampler(people([4] * 4, [4, 4, 4, 0]), seed=0)
    with pytest.raises(ValueError, match='1 of 4 .*pid 103'):
        CMNASReferenceSampler(carrier, 16, num_instances=2)
    with pytest.raises(ValueError, match='batch_size=10 .*num_instances=2'):
        CMNASReferenceSampler(carrier, 10, num_instances=2)
    with pytest.raises(ValueError, match='batch_size=72 .* 18 .* 9; .* 36'):
        official(batch_size=72)
    with pytest.raises(TypeError, match="CMNASReferenceSampler .*list .*type='DefaultSampler'"):
        CMNASReferenceSampler([], 16)
