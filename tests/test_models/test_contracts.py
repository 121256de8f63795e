# Copyright (c) mmreid contributors. All rights reserved.
"""What models, hooks and checks may ask of heads, necks, losses and memories."""

import pytest
import torch

from mmreid.models import heads, losses, memories, necks
from mmreid.models.losses.pair_statistics import triplet_options
from mmreid.registry import MODELS

NOT_PAIRS = {'CenterLoss', 'ClassMMDLoss', 'ClassMemoryLoss', 'CorrelationConsistencyLoss', 'FocalLoss',
             'SmoothedCrossEntropyLoss'}  # fmt: skip


def registered(module):
    return [value for name, value in vars(module).items() if name in module.__all__ and MODELS.get(name) is value]


@pytest.mark.parametrize(
    ('module', 'base'),
    [(heads, heads.BaseHead), (necks, necks.BaseNeck), (losses, losses.PairLoss)],
    ids=['heads', 'necks', 'losses'],
)
def test_all_have_the_base_of_their_role(module, base):
    found = [kind for kind in registered(module) if kind.__name__ not in NOT_PAIRS]
    assert len(found) > 3 and all(issubclass(kind, base) for kind in found)


def test_memories_and_neighbors_have_the_base_of_their_role():
    kinds = {kind.__name__: kind for kind in registered(memories)}
    assert {name for name, kind in kinds.items() if issubclass(kind, memories.BaseMemory)} == {
        'ExemplarMemory', 'MiniBatchMemory'
    }  # fmt: skip
    assert {name for name, kind in kinds.items() if issubclass(kind, memories.Neighbors)} == {
        'GraphPositivePrediction', 'NearestNeighbors'
    }  # fmt: skip


@pytest.mark.parametrize('kind', ['BNNeck', 'EmbeddingNeck', 'PartNeck'])
def test_a_loss_on_the_embedding_before_reaches_nothing_of_only_after(kind):
    neck = MODELS.build(dict(type=kind, in_channels=8))
    neck(torch.randn(4, 8, 6, 2, requires_grad=True)).before.sum().backward()
    after = {name for name, p in neck.named_parameters() if p.requires_grad and p.grad is None}
    assert after and {name.partition('.')[0] for name in after} == set(neck.only_after)


def test_a_head_without_a_memory_has_nothing_to_update():
    head = heads.InvarianceHead(8)
    assert head.memories() == {} and head.memory is head.neighbors is head.learned_neighbors is None
    assert head.start_run(3) is None


def test_statistics_follow_the_first_loss_on_distances():
    """The margins of others have other units."""
    circle, triplet = losses.CircleLoss(margin=0.9), losses.TripletLoss(margin=0.4, normalize=True, squared=True)
    assert triplet_options([circle, triplet]) == dict(margin=0.4, normalize=True, squared=True)
    assert triplet_options([circle]) == {}


def test_a_memory_keeps_one_step_at_a_time():
    memory = memories.ExemplarMemory(2, 3)
    feats, slots = torch.ones(1, 2, requires_grad=True), torch.tensor([1])
    memory.remember(feats, slots)
    with pytest.raises(RuntimeError, match='MemoryUpdateHook'):
        memory.remember(feats, slots)
    kept, where = memory.take_pending()
    assert torch.equal(kept, feats) and not kept.requires_grad and where is slots
    assert memory.take_pending() is None
