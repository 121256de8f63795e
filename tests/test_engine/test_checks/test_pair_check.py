# Copyright (c) mmreid contributors. All rights reserved.
"""A metric loss that no batch can feed is told before the training."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
from torch import nn

from mmreid.datasets.samplers import (
    CMNASReferenceSampler,
    IdentityBatchSampler,
    MultiDomainBatchSampler,
    RandomIdentitySampler,
)
from mmreid.engine.checks import pair_check
from mmreid.models import CenterLoss, CircleLoss, TripletLoss

LABELS = np.repeat(np.arange(6), 4)


def batches(size, instances):
    data = SimpleNamespace(gt_labels=LABELS)
    instance_sampler = dict(type='KInstanceSampler', num_instances=instances)
    return IdentityBatchSampler(RandomIdentitySampler(data, seed=0), size, instance_sampler)


@pytest.mark.parametrize(
    ('size', 'instances', 'words'),
    [
        (6, 1, 'P x K = 6 x 1 .* none of the 4 batches .* two images of one identity.*CircleLoss, TripletLoss'),
        (4, 4, 'P x K = 1 x 4 .* none of the 6 batches .* images of two identities.*batch_size to 8 or more'),
    ],
)
def test_batches_without_pairs(size, instances, words):
    model = nn.ModuleList([TripletLoss(), CircleLoss(), CenterLoss(6, 4)])
    assert re.search(words, pair_check.no_pairs_sentence(model, batches(size, instances)))


def test_a_part_of_the_authors_batch_of_cm_nas_may_have_one_identity():
    data = SimpleNamespace(gt_labels=LABELS, modalities=np.tile(['visible', 'infrared'], 12), num_classes=6)
    carrier = SimpleNamespace(dataset=data, seed=0, epoch=0, set_epoch=None)
    batches = CMNASReferenceSampler(carrier, 4, num_instances=2, rank=0, world_size=2)
    assert '= 1 x 4 ' in pair_check.no_pairs_sentence(nn.ModuleList([TripletLoss()]), batches)
    whole = CMNASReferenceSampler(carrier, 8, num_instances=2, rank=0, world_size=1)
    assert pair_check.no_pairs_sentence(nn.ModuleList([TripletLoss()]), whole) == ''


def test_nothing_is_said_where_there_are_pairs_or_no_such_loss():
    assert pair_check.no_pairs_sentence(nn.ModuleList([TripletLoss()]), batches(8, 4)) == ''
    assert pair_check.no_pairs_sentence(nn.ModuleList([CenterLoss(6, 4)]), batches(6, 1)) == ''
    assert pair_check.no_pairs_sentence(nn.ModuleList([TripletLoss()]), SimpleNamespace()) == ''


def test_other_ranks_bring_other_identities(monkeypatch):
    monkeypatch.setattr(pair_check, 'get_world_size', lambda: 2)
    assert pair_check.no_pairs_sentence(nn.ModuleList([TripletLoss(gather=True)]), batches(4, 4)) == ''
    assert pair_check.no_pairs_sentence(nn.ModuleList([TripletLoss()]), batches(4, 4)) != ''


def test_parts_of_a_batch_count_together():
    data = SimpleNamespace(gt_labels=LABELS, domains=(LABELS > 2).astype(np.int64), __len__=lambda: 24)
    parts = [dict(domain=domain, batch_size=4, sampler=dict(type='RandomIdentitySampler')) for domain in (0, 1)]
    sampler = SimpleNamespace(dataset=data, seed=0, epoch=0, set_epoch=None)
    assert (
        pair_check.no_pairs_sentence(nn.ModuleList([TripletLoss()]), MultiDomainBatchSampler(sampler, 8, parts)) == ''
    )
