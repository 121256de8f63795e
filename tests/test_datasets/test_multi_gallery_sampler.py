# Copyright (c) mmreid contributors. All rights reserved.
"""The sampler of SpCL and Cluster Contrast against the official stream, and as a batch sampler."""

from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mmreid.datasets.samplers import IdentityBatchSampler, RandomIdentitySampler
from mmreid.datasets.samplers.multi_gallery_batch_sampler import (
    MultiGalleryBatchSampler,
    Streams,
    gallery_pass,
    images_by_label,
)

GOLDEN = Path(__file__).parents[1] / 'data' / 'golden'
LABELS = np.repeat(np.arange(9), [1, 2, 3, 4, 5, 6, 7, 8, 9])
CAMIDS = np.arange(len(LABELS)) % 3


class Seeded:
    """Carries data set, seed and epoch, as MMEngine's DefaultSampler does."""

    def __init__(self, labels=LABELS, camids=CAMIDS, seed=3):
        self.dataset, self.seed, self.epoch = SimpleNamespace(gt_labels=labels, camids=camids), seed, 0

    def set_epoch(self, epoch):
        self.epoch = epoch


@pytest.mark.parametrize('cameras', ['cam', 'nocam'])
@pytest.mark.parametrize('num_instances', [4, 16])
def test_draws_the_official_stream(cameras, num_instances):
    data = np.load(GOLDEN / '09_gallery_sampler.npz')
    streams, images = Streams.of(*[int(data['seed'])] * 3), images_by_label(data['pids'])
    camids = data['camids'] if cameras == 'cam' else None
    for epoch in (0, 1):
        drawn = gallery_pass(images, camids, num_instances, streams)
        assert drawn == data[f'{cameras}_k{num_instances}_epoch{epoch}'].tolist()
    assert len(drawn) < len(images) * num_instances == data[f'{cameras}_k{num_instances}_len']
    assert (data['pids'] < 0).any() and (data['pids'][drawn] >= 0).all()


def test_an_epoch_has_its_length_and_its_own_order():
    sampler = Seeded()
    batches = MultiGalleryBatchSampler(sampler, 8, batches_per_epoch=30)
    first = list(batches)
    assert len(first) == len(batches) == 30 and {len(batch) for batch in first} == {8}
    assert first == list(batches)
    sampler.set_epoch(1)
    assert first != list(batches)


@pytest.mark.parametrize('world_size', [2, 3])
def test_ranks_share_what_one_rank_would_draw(world_size):
    whole = list(MultiGalleryBatchSampler(Seeded(), 12, batches_per_epoch=9))
    parts = [
        list(
            MultiGalleryBatchSampler(Seeded(), 12 // world_size, batches_per_epoch=9, rank=rank, world_size=world_size)
        )
        for rank in range(world_size)
    ]
    assert [sum(batch, []) for batch in zip(*parts, strict=True)] == whole


def test_other_cameras_come_first_and_images_repeat_only_where_there_are_few():
    images = images_by_label(LABELS)
    drawn = gallery_pass(images[8:], CAMIDS, 4, Streams.of(0, 0, 0))
    assert len(drawn) == len(set(drawn)) == 4 and CAMIDS[drawn[0]] not in CAMIDS[drawn[1:]]
    same_camera = gallery_pass(images[8:], CAMIDS * 0, 4, Streams.of(0, 0, 0))
    assert len(set(same_camera)) == 4
    assert gallery_pass(images[:1], CAMIDS, 4, Streams.of(0, 0, 0)) == [0]


def test_pseudo_labels_replace_the_identities():
    batches = MultiGalleryBatchSampler(Seeded(), 4, batches_per_epoch=20)
    labels = np.full(len(LABELS), -1)
    labels[5:15] = [1, 1, 0, 0, 1, 0, 4, 4, 4, 4]
    batches.set_labels(labels)
    shown = np.array(list(batches))
    assert set(shown.ravel()) == set(range(5, 15)) and (labels[shown] == labels[shown[:, :1]]).all()


def test_too_few_images_are_refused_and_never_waited_for():
    labels = np.full(len(LABELS), -1)
    labels[:4] = [0, 0, 1, 2]
    batches = MultiGalleryBatchSampler(Seeded(), 8)
    with pytest.raises(ValueError, match='takes 8 images.*3 identities or clusters.*give 6'):
        batches.set_labels(labels)
    one_person = MultiGalleryBatchSampler(Seeded(LABELS * 0), 8)  # images without labels, say
    with pytest.raises(ValueError, match='1 identities'):
        next(iter(one_person))
    one_person.set_labels(LABELS)
    assert len(list(islice(one_person, 3))) == 3
    for wrong in (dict(num_instances=1), dict(batches_per_epoch=0)):
        with pytest.raises(ValueError, match=str(next(iter(wrong.values())))):
            MultiGalleryBatchSampler(Seeded(), 8, **wrong)


def test_identity_batches_follow_pseudo_labels_too():
    sampler = RandomIdentitySampler(SimpleNamespace(gt_labels=LABELS), seed=0, batches_per_epoch=20)
    batches = IdentityBatchSampler(sampler, 4, instance_sampler=dict(type='KInstanceSampler', num_instances=2))
    labels = np.full(len(LABELS), -1)
    labels[5:15] = [1, 1, 0, 0, 1, 0, 4, 4, 4, 4]
    batches.set_labels(labels)
    shown = np.array(list(batches))
    assert shown.shape == (20, 4) and set(shown.ravel()) == set(range(5, 15))
    pairs = labels[shown].reshape(20, 2, 2)
    assert (pairs[..., 0] == pairs[..., 1]).all() and (pairs[:, 0] != pairs[:, 1]).all()
    assert batches.dataset.gt_labels is LABELS
    with pytest.raises(ValueError, match='2 different identities.* has 1'):
        batches.set_labels(np.minimum(labels, 0))
    sampler.batches_per_epoch = None
    with pytest.raises(ValueError, match='batches_per_epoch'):
        batches.set_labels(labels)
