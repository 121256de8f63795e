# Copyright (c) mmreid contributors. All rights reserved.
"""The exemplar memory against the official one, and what it must not do."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sync_counter import SyncCounter

from mmreid.models import ExemplarMemory, InvarianceHead, MiniBatchMemory
from mmreid.models.memories.occurrence import occurrence

GOLDEN = Path(__file__).parents[1] / 'data' / 'golden'
CASES = ['from_zero', 'warm', 'knn0']


def head_of(data, **kwargs):
    """The head of a golden file, without what stands before the memory."""
    head = InvarianceHead(
        int(data['num_features']),
        memory=dict(type='ExemplarMemory', num_slots=int(data['num_classes'])),
        temperature=float(data['beta']),
        invariance=dict(neighbors=dict(k=int(data['knn'])) if data['knn'] > 0 else None),
        **kwargs,
    )
    head.memory.features.copy_(torch.from_numpy(data['em_init']))
    return head


def loss_of(head, feats, slots):
    """The target loss of given features, as the official module gets them: after normalizing and dropout."""
    similarity = head.memory.compare(feats, head.temperature)
    return similarity.cross_entropy(*head.invariance.targets(similarity, slots)).mean()


@pytest.mark.parametrize('case', CASES)
def test_equals_the_official_memory(case):
    """Loss, gradient and memory of every step; targets repeat within a step."""
    data = np.load(GOLDEN / f'07_ecn_memory_{case}.npz')
    head = head_of(data)
    repeated = False
    for step, epoch in enumerate(data['epochs'].tolist()):
        feats = torch.from_numpy(data[f'step{step}/inputs']).requires_grad_()
        slots = torch.from_numpy(data[f'step{step}/targets'])
        repeated |= len(slots.unique()) < len(slots)
        head.start_epoch(epoch)
        loss = loss_of(head, feats, slots)
        loss.backward()
        head.memory.update(feats.detach(), slots, float(data['alpha']) * epoch)
        for found, name in ((loss, 'loss'), (feats.grad, 'grad'), (head.memory.features, 'em_after')):
            expected = torch.from_numpy(np.asarray(data[f'step{step}/{name}']))
            torch.testing.assert_close(found.detach(), expected, rtol=1e-5, atol=1e-5)
    assert repeated


@pytest.mark.parametrize('options', [dict(dtype='float16', chunk_size=7), dict(on_cpu=True), dict(dtype='bfloat16')])
def test_stored_in_half_it_computes_nearly_the_same(options):
    data = np.load(GOLDEN / '07_ecn_memory_warm.npz')
    exact, stored = head_of(data), head_of(data)
    stored.memory = ExemplarMemory(32, 50, **options)
    stored.memory.features.copy_(exact.memory.features)
    feats, slots = torch.from_numpy(data['step0/inputs']), torch.from_numpy(data['step0/targets'])
    grads = []
    for head in (exact, stored):
        rows = feats.clone().requires_grad_()
        loss_of(head, rows, slots).backward()
        head.memory.update(feats, slots, 0.3)
        grads.append(rows.grad)
    torch.testing.assert_close(grads[1], grads[0], rtol=0.05, atol=5e-3)
    torch.testing.assert_close(stored.memory.features.float(), exact.memory.features, rtol=0.02, atol=2e-3)


def test_on_the_host_it_waits_for_the_features_of_the_device():
    """Once for the features of a step: read earlier, they would be whatever their memory held before."""
    memory, counter = ExemplarMemory(4, 6, on_cpu=True), SyncCounter()
    with counter:
        memory.update(torch.ones(3, 4, device='meta'), torch.tensor([5, 0, 2]), 0.3)
    assert list(counter.places.values()) == [1] and 'to the host' in str(counter.places)
    assert memory.features.device.type == 'cpu' and memory.features.any(1).tolist() == [
        True,
        False,
        True,
        False,
        False,
        True,
    ]


def test_gradient_is_that_of_a_dense_softmax():
    torch.manual_seed(0)
    memory = ExemplarMemory(8, 20)
    memory.features = F.normalize(torch.randn(20, 8))
    feats = torch.randn(5, 8, requires_grad=True)
    slots, weights = torch.randint(0, 20, (5, 3)), torch.rand(5, 3)
    loss = memory.compare(feats, 0.1).cross_entropy(slots, weights)
    dense = torch.zeros(5, 20).scatter_add_(1, slots, weights)
    expected = -(dense * F.log_softmax(feats @ memory.features.t() / 0.1, dim=1)).sum(1)
    torch.testing.assert_close(loss, expected)
    scale = torch.rand(5)
    (found,) = torch.autograd.grad(loss, feats, scale, retain_graph=True)
    (wanted,) = torch.autograd.grad(expected, feats, scale)
    torch.testing.assert_close(found, wanted)


def test_nearest_slots_and_fewer_slots_than_asked_for():
    memory = ExemplarMemory(2, 3)
    memory.features.copy_(F.normalize(torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])))
    assert memory.compare(torch.tensor([[0.1, 1.0]])).nearest(2).tolist() == [[2, 1]]
    head = InvarianceHead(2, memory=dict(type='ExemplarMemory', num_slots=3), invariance=dict(neighbor_epoch=0))
    slots, weights = head.invariance.targets(head.memory.compare(torch.ones(1, 2)), torch.tensor([1]))
    assert slots.shape == (1, 4) and weights.sum() == pytest.approx(1 + 2 / 3)


def test_a_slot_that_occurs_twice_moves_twice_in_the_order_of_the_batch():
    assert occurrence(torch.tensor([5, 7, 5, 5, 7])).tolist() == [0, 0, 1, 2, 1]
    assert occurrence(torch.tensor([], dtype=torch.int64)).tolist() == []
    memory = ExemplarMemory(2, 4)
    feats = torch.tensor([[1.0, 0.0], [0.0, 1.0], [3.0, 4.0]])
    memory.update(feats, torch.tensor([2, 2, 0]), alpha=0.0)
    assert memory.features[2].tolist() == [0.0, 1.0]  # alpha 0 overwrites, and the later one stays
    torch.testing.assert_close(memory.features[0], torch.tensor([0.6, 0.8]))
    memory.update(feats[:2], torch.tensor([0, 0]), alpha=0.5)
    one = F.normalize(0.5 * torch.tensor([0.6, 0.8]) + 0.5 * feats[0], dim=0)
    torch.testing.assert_close(memory.features[0], F.normalize(0.5 * one + 0.5 * feats[1], dim=0))


def test_rows_that_are_not_finite_are_left_out():
    memory = ExemplarMemory(2, 2)
    memory.update(torch.tensor([[float('nan'), 1.0], [1.0, 0.0]]), torch.tensor([0, 1]), 0.0)
    assert memory.features.tolist() == [[0.0, 0.0], [1.0, 0.0]]


def test_writing_between_forward_and_backward_is_refused():
    memory = ExemplarMemory(2, 3)
    feats = torch.ones(1, 2, requires_grad=True)
    loss = memory.compare(feats).cross_entropy(torch.tensor([[0]]), torch.ones(1, 1))
    memory.update(torch.ones(1, 2), torch.tensor([0]), 0.0)
    with pytest.raises(RuntimeError, match='backward.*MemoryUpdateHook'):
        loss.backward()


def test_wrong_uses_are_explained():
    with pytest.raises(RuntimeError, match='MemoryUpdateHook.*model.head.memory.num_slots'):
        ExemplarMemory(2).compare(torch.ones(1, 2))
    with pytest.raises(ValueError, match='images 0 to 3.* slots 0 to 2'):
        ExemplarMemory(2, 3).update(torch.ones(2, 2), torch.tensor([0, 3]), 0.1)
    with pytest.raises(ValueError, match=r'alpha=1.2 .*\[0, 1\]'):
        ExemplarMemory(2, 3).update(torch.ones(1, 2), torch.tensor([0]), 1.2)
    with pytest.raises(ValueError, match="dtype='int8' of ExemplarMemory"):
        ExemplarMemory(2, 3, dtype='int8')


def test_it_is_saved_but_no_optimizer_sees_it():
    head = InvarianceHead(4, num_classes=3, memory=dict(type='ExemplarMemory', num_slots=5))
    assert 'memory.features' in head.state_dict()
    assert set(dict(head.named_parameters())) == {'classifier.weight', 'classifier.bias'}


def test_on_cpu_and_dtype_survive_moving_the_model():
    memory = torch.nn.Sequential(ExemplarMemory(4, 5, on_cpu=True, dtype='float16')).to('meta').double()[0]
    assert memory.features.device.type == 'cpu' and memory.features.dtype == torch.float16
    moved = ExemplarMemory(4, 5).half()
    assert moved.features.dtype == torch.float32
    assert ExemplarMemory(4, 5).to('meta').features.is_meta


def test_a_batch_stands_in_for_the_memory():
    """Two views of each image: the first is drawn to the second; nothing is kept."""
    slots = torch.tensor([7, 3, 7, 3])
    feats = F.normalize(torch.randn(4, 6, generator=torch.Generator().manual_seed(0)))
    batch, own = MiniBatchMemory(6).of_batch(feats, slots)
    assert torch.equal(batch.features, feats[[3, 2]]) and own.tolist() == [1, 0, 1, 0]
    invariance = dict(neighbors=dict(k=2), neighbor_epoch=0)
    head = InvarianceHead(6, memory=dict(type='MiniBatchMemory'), invariance=invariance).train()
    rows = feats.clone().requires_grad_()
    head.target_loss(rows, slots)['loss_target'].backward()
    assert rows.grad.abs().sum() > 0 and head.memories() == {}
