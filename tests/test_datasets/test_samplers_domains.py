# Copyright (c) mmreid contributors. All rights reserved.
"""Batches of several domains: a fraction of the identities of each, and parts with samplers of their own."""

import numpy as np
import pytest
from mmengine.dataset import DefaultSampler
from tiny_data import write_market

from mmreid.datasets import (
    CrossModalityInstanceSampler,
    DomainBalancedIdentitySampler,
    IdentityBatchSampler,
    KInstanceSampler,
    MultiDomainBatchSampler,
    RandomImageBatchSampler,
)
from mmreid.engine import ReIDRunner

PK = dict(
    sampler=dict(type='mmreid.RandomIdentitySampler'),
    batch_sampler=dict(
        type='mmreid.IdentityBatchSampler', instance_sampler=dict(type='mmreid.KInstanceSampler', num_instances=2)
    ),
)


class Domains:
    """Identities with the given numbers of images, domain by domain, shuffled as a whole."""

    def __init__(self, *counts):
        flat = np.concatenate(counts)
        labels = np.repeat(np.arange(len(flat)), flat)
        domain_of_class = np.repeat(np.arange(len(counts)), [len(part) for part in counts])
        self.gt_labels = np.random.default_rng(0).permutation(labels)
        self.pids = 100 + self.gt_labels
        self.domains = domain_of_class[self.gt_labels]

    def __len__(self):
        return len(self.gt_labels)


def balanced(data, batch_size=24, rank=0, world_size=1, epoch=0, seed=0, **kwargs):
    identity_sampler = DomainBalancedIdentitySampler(data, seed=seed, **kwargs)
    identity_sampler.set_epoch(epoch)
    return IdentityBatchSampler(identity_sampler, batch_size, KInstanceSampler(2), rank=rank, world_size=world_size)


def multi(data, parts, rank=0, world_size=1, epoch=0, seed=0, **kwargs):
    carrier = DefaultSampler(data, seed=seed)
    carrier.set_epoch(epoch)
    size = sum(part['batch_size'] for part in parts)
    return MultiDomainBatchSampler(carrier, size, parts, rank=rank, world_size=world_size, **kwargs)


SIZES = ([3, 1, 5, 4, 2, 6, 3, 3], [9, 2, 7, 8, 1, 4], [2] * 30)


@pytest.mark.parametrize('weights', [None, (2, 1, 3), (6, 2, 4)])
def test_every_batch_of_every_rank_has_the_fraction_of_each_domain(weights):
    data = Domains(*SIZES)
    share = np.array([4, 4, 4] if weights is None else [4, 2, 6] if weights == (2, 1, 3) else [6, 2, 4])
    for batch in balanced(data, weights=weights, batches_per_epoch=20):
        assert len(set(data.gt_labels[batch])) == 12
        assert np.bincount(data.domains[batch], minlength=3).tolist() == (2 * share).tolist()
    sizes = dict(batch_size=12, world_size=2, weights=weights, batches_per_epoch=20)
    ranks = [balanced(data, rank=rank, **sizes) for rank in range(2)]
    for batch, *parts in zip(balanced(data, weights=weights, batches_per_epoch=20), *ranks, strict=True):
        assert [index for part in parts for index in part] == batch
        for part in parts:
            assert np.bincount(data.domains[part], minlength=3).tolist() == share.tolist()


def test_domain_balance_goes_with_two_modalities():
    data = Domains([4] * 6, [6] * 5)
    data.modalities = np.where(np.arange(len(data)) % 2, 'visible', 'infrared')
    data.modalities[data.gt_labels == 7] = 'visible'
    instance_sampler = CrossModalityInstanceSampler(1, on_missing='drop')
    sampler = IdentityBatchSampler(
        DomainBalancedIdentitySampler(data, seed=0, batches_per_epoch=20), 8, instance_sampler
    )
    for batch in sampler:
        assert data.modalities[batch].tolist() == ['visible'] * 4 + ['infrared'] * 4
        assert data.domains[batch].tolist() == [0, 1] * 4
        assert 7 not in data.gt_labels[batch]


def test_classes_of_each_domain_are_walked_before_reuse():
    data = Domains(*SIZES)
    stream = np.concatenate(list(balanced(data, batches_per_epoch=30)))
    for domain, sizes in enumerate(SIZES):
        met = data.gt_labels[stream[data.domains[stream] == domain]][::2]
        for start in range(0, len(met) - len(sizes) + 1, len(sizes)):
            assert len(set(met[start : start + len(sizes)])) == len(sizes)


def test_domain_balance_depends_on_seed_and_epoch_only():
    data = Domains(*SIZES)
    assert list(balanced(data, epoch=2)) == list(balanced(data, epoch=2))
    assert list(balanced(data, epoch=2)) != list(balanced(data, epoch=3))
    assert list(balanced(data, epoch=2)) != list(balanced(data, epoch=2, seed=1))


def test_impossible_shares_fail_at_build_with_the_numbers():
    data = Domains(*SIZES)
    with pytest.raises(ValueError, match='batch_size=16 .* 8 .* 3 .*1:1:1; .* 6'):
        balanced(data, batch_size=16)
    with pytest.raises(ValueError, match='domain 1 .* 6 .*batch_size=24 .* 2 .* 8 .* 18'):
        balanced(data, world_size=2)
    with pytest.raises(ValueError, match=r'weights=\[1, 2\] .* 3 .*\[0, 1, 2\]'):
        balanced(data, weights=(1, 2))
    with pytest.raises(ValueError, match=r'weights=\[1, 0, 1\]'):
        balanced(data, weights=(1, 0, 1))
    data.domains[np.flatnonzero(data.gt_labels == 3)[0]] = 2
    with pytest.raises(ValueError, match='domain.*pid 103'):
        balanced(data)
    del data.domains
    with pytest.raises(TypeError, match='DomainBalancedIdentitySampler .* Domains .*ConcatReIDDataset'):
        balanced(data)


@pytest.mark.parametrize('source', [dict(domain=0, batch_size=8), dict(domain=0, batch_size=8, **PK)])
def test_a_batch_is_part_after_part(source):
    data = Domains([5] * 8, [1, 2, 3, 30, 30])
    sampler = multi(data, [source, dict(domain=1, batch_size=6)])
    batches = list(sampler)
    assert len(batches) == len(sampler) == 11  # 66 // 6; the source has 5
    for batch in batches:
        assert data.domains[batch].tolist() == [0] * 8 + [1] * 6
        assert len(set(batch)) == 14
        if 'sampler' in source:
            rows = data.gt_labels[batch[:8]].reshape(4, 2)
            assert (rows[:, 0] == rows[:, 1]).all() and len(set(rows[:, 0])) == 4
    target = np.array(batches)[:, 8:].reshape(-1)
    assert sorted(target) == np.flatnonzero(data.domains == 1).tolist()


def test_the_shorter_part_starts_again_with_another_order():
    data = Domains([4] * 5, [10] * 10)
    parts = [dict(domain=0, batch_size=8), dict(domain=1, batch_size=8)]
    stream = np.array(list(multi(data, parts)))[:, :8].reshape(-1)
    passes = [stream[start : start + 20] for start in range(0, 80, 20)]
    assert all(len(set(images)) == 20 for images in passes)
    assert passes[0].tolist() != passes[1].tolist()


@pytest.mark.parametrize(('length_of', 'length'), [('longest', 12), ('shortest', 2), (0, 2), (1, 12)])
def test_the_length_is_that_of_a_part(length_of, length):
    data = Domains([4] * 5, [10] * 10)
    parts = [dict(domain=0, batch_size=8), dict(domain=1, batch_size=8)]
    sampler = multi(data, parts, length_of=length_of)
    assert len(sampler) == len(list(sampler)) == length


@pytest.mark.parametrize('world_size', [2, 3])
def test_ranks_share_the_parts_of_one_large_rank(world_size):
    data = Domains([1, 3, 2, 9, 5, 4, 4, 4, 1, 2, 6, 7], [3] * 20, [3] * 20)

    def parts(ranks):
        return [dict(domain=0, batch_size=4 * ranks, **PK), dict(domain=[1, 2], batch_size=5 * ranks)]

    ranks = [multi(data, parts(1), rank=rank, world_size=world_size) for rank in range(world_size)]
    for batch, *shares in zip(multi(data, parts(world_size)), *ranks, strict=True):
        blocks = [share[:4] for share in shares] + [share[4:] for share in shares]
        assert np.concatenate(blocks).tolist() == batch
        identities = [set(data.gt_labels[share[:4]]) for share in shares]
        assert len(set.union(*identities)) == 2 * world_size


def test_parts_depend_on_seed_and_epoch_only():
    data = Domains([4] * 8, [3] * 20)
    parts = [dict(domain=0, batch_size=8, **PK), dict(domain=1, batch_size=8)]
    sampler = multi(data, parts)
    epochs = []
    for epoch in range(3):
        sampler.sampler.set_epoch(epoch)
        epochs.append(list(sampler))
        assert list(sampler) == epochs[-1] == list(multi(data, parts, epoch=epoch))
    for block in (slice(0, 8), slice(8, 16)):
        first, second, third = (np.array(epoch)[:, block].tolist() for epoch in epochs)
        assert first != second != third
    sampler.sampler.seed = 7  # what the runner does on resume
    assert list(sampler) == list(multi(data, parts, epoch=2, seed=7)) != epochs[2]


def test_parts_that_cannot_be_made_fail_at_build_with_the_numbers():
    data = Domains([4] * 5, [2] * 10)
    with pytest.raises(ValueError, match='domain 1: batch_size=12 x 2 .* 24 .* 20; .* 1 to 10'):
        multi(data, [dict(domain=0, batch_size=8), dict(domain=1, batch_size=12)], world_size=2)
    with pytest.raises(ValueError, match='domain 0: batch_size=12 / 2 .* 6 .* 5; .* 10'):
        multi(data, [dict(domain=0, batch_size=12, **PK)])
    with pytest.raises(ValueError, match=r'domain 2, .* 0 \(20 .* 1 \(20 '):
        multi(data, [dict(domain=2, batch_size=4)])
    with pytest.raises(ValueError, match=r'4 \+ 4 = 8 .*train_dataloader.batch_size=10'):
        MultiDomainBatchSampler(DefaultSampler(data, seed=0), 10, [dict(domain=d, batch_size=4) for d in (0, 1)])
    with pytest.raises(ValueError, match=r'parts=.*\[\]'):
        multi(data, [])
    with pytest.raises(ValueError, match="MultiDomainBatchSampler .*{'batch_size': 4}"):
        multi(data, [dict(batch_size=4)])
    with pytest.raises(ValueError, match="length_of=2 .* 'longest', 'shortest' .* 0 to 1"):
        multi(data, [dict(domain=0, batch_size=4), dict(domain=1, batch_size=4)], length_of=2)
    with pytest.raises(TypeError, match='IdentityBatchSampler .*DefaultSampler; .*RandomIdentitySampler'):
        IdentityBatchSampler(DefaultSampler(data, seed=0), 4)
    with pytest.raises(ValueError, match='batch_size=0 .* 1 to 40'):
        RandomImageBatchSampler(DefaultSampler(data, seed=0), 0)


def test_a_config_of_two_data_sets_gives_batches_of_both(tmp_path):
    sets = [
        dict(type='mmreid.Market1501', data_root=str(write_market(tmp_path / name, ids)), name=name)
        for name, ids in (('source', 4), ('target', 6))
    ]
    pipeline = [dict(type='mmreid.LoadReIDImage'), dict(type='mmreid.PackReIDInputs')]
    loader = ReIDRunner.build_dataloader(
        dict(
            batch_size=12,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=True),
            batch_sampler=dict(
                type='mmreid.MultiDomainBatchSampler',
                parts=[dict(domain=0, batch_size=8, **PK), dict(domain=1, batch_size=4)],
                length_of=0,
            ),
            dataset=dict(type='mmreid.ConcatReIDDataset', datasets=sets, pipeline=pipeline),
        ),
        seed=0,
    )
    assert len(loader) == 3
    for batch in loader:
        assert [sample.domain for sample in batch['data_samples']] == [0] * 8 + [1] * 4
