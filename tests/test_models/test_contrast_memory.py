# Copyright (c) mmreid contributors. All rights reserved.
"""The memories of Cluster Contrast and SpCL against the official ones, and what they must not do."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sync_counter import SyncCounter

from mmreid.models import ClusterMemory, ContrastHead, HybridMemory
from mmreid.models.memories.contrast_memory import class_means
from mmreid.registry import MODELS

GOLDEN = Path(__file__).parents[1] / 'data' / 'golden'


def golden(name):
    """Reads a golden file: its settings and start, and the arrays of each step."""
    data = np.load(GOLDEN / f'{name}.npz')
    arrays = {key: torch.from_numpy(np.asarray(data[key])) for key in data.files}
    steps = [
        {key.partition('/')[2]: value for key, value in arrays.items() if key.startswith(f'step{step}/')}
        for step in range(int(data['steps']))
    ]
    return arrays, steps


def memory_of(kind, data, num_source=0, labels=None, **settings):
    """A memory with the rows of a golden file."""
    rows = data['memory_0'].clone()
    memory = kind(rows.shape[1], temperature=float(data['temp']), momentum=float(data['momentum']), **settings)
    labels = torch.arange(len(rows)) if labels is None else labels
    memory.expect(num_source, len(labels), torch.device('cpu'))
    memory.relabel(labels, rows[num_source:], rows[:num_source] if num_source else None)
    return memory


def near(found, expected, tolerance=1e-5):
    torch.testing.assert_close(found.detach(), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize('rule', ['mean', 'hard'])
@pytest.mark.parametrize('momentum', ['0.1', '0.2'])
def test_the_cluster_memory_is_the_official_one(rule, momentum):
    data, steps = golden(f'09_cluster_memory_{rule}_m{momentum}')
    memory = memory_of(ClusterMemory, data, rule=rule)
    for step in steps:
        inputs = step['inputs'].requires_grad_()
        rows = memory.rows_of(step['targets'], 'target')
        feats = F.normalize(inputs, dim=1)
        loss, _ = memory.contrast(feats, rows, 'target')
        loss.backward()
        memory.remember(feats, rows, 'target')
        memory.update(*memory.take_pending())
        near(loss, step['loss'])
        near(inputs.grad, step['grad'])
        near(memory.features, step['memory_after'])
    assert any(len(step['targets'].unique()) < len(step['targets']) for step in steps)


def test_rows_start_as_the_normalized_means_of_their_clusters():
    data = np.load(GOLDEN / '09_cluster_centroids.npz')
    feats, labels = torch.from_numpy(data['features']), torch.from_numpy(data['pseudo_labels'])
    memory = ClusterMemory(feats.shape[1])
    memory.relabel(labels, feats)
    near(memory.features, torch.from_numpy(data['memory']))
    near(class_means(feats, labels, len(data['centers'])), F.normalize(torch.from_numpy(data['centers']), dim=1))
    assert (labels < 0).any()


@pytest.mark.parametrize('case', ['usl', 'usl_t0.1'])
def test_the_hybrid_memory_is_the_official_one(case):
    data, steps = golden(f'10_hybrid_memory_{case}')
    memory = memory_of(HybridMemory, data, labels=data['labels'])
    for step in steps:
        inputs = step['inputs'].requires_grad_()
        rows = memory.rows_of(step['indexes'], 'target')
        loss, _ = memory.contrast(inputs, rows, 'target')
        loss.backward()
        memory.update(inputs.detach(), rows)
        near(loss, step['loss'], 2e-5)
        near(inputs.grad, step['grad'], 1e-5)
        near(memory.features, step['memory_after'], 2e-5)
    if case == 'usl_t0.1':
        assert len(data['labels'].unique()) < int(data['labels'].max()) + 1  # labels without an image


def test_the_hybrid_memory_with_a_source_is_the_official_one_but_for_an_order():
    """The official code writes the target's rows before it computes the gradient of the source images; ours writes all
    rows after both gradients. With its order the gradient of the source is the official one as well."""
    data, steps = golden('10_hybrid_memory_uda')
    num_source = int(data['source_classes'])
    memory = memory_of(HybridMemory, data, num_source, data['labels'][num_source:] - num_source)
    for step in steps:
        source, target = (step[f'{name}_inputs'].requires_grad_() for name in ('src', 'tgt'))
        rows_s, rows_t = memory.rows_of(step['src_targets'], 'source'), memory.rows_of(step['tgt_indexes'], 'target')
        loss_s, _ = memory.contrast(source, rows_s, 'source')
        loss_t, _ = memory.contrast(target, rows_t, 'target')
        (loss_s + loss_t).backward()
        before = memory.features.clone()

        similarity = (source.detach() @ before.t()).requires_grad_()
        memory.features = torch.eye(len(before))  # so that the inputs are taken for the similarities
        memory.contrast(similarity, rows_s, 'source')[0].backward()
        near(similarity.grad @ before, source.grad)
        memory.features = before.clone()
        memory.update(target.detach(), rows_t)
        near(similarity.grad @ memory.features, step['grad_s'])

        memory.features = before
        memory.remember(source, rows_s, 'source')
        memory.remember(target, rows_t, 'target')
        memory.update(*memory.take_pending())
        near(loss_s, step['loss_s'], 2e-5)
        near(loss_t, step['loss_t'], 2e-5)
        near(target.grad, step['grad_t'])
        near(memory.features, step['memory_after'], 2e-5)


def test_a_low_temperature_does_not_overflow():
    memory = HybridMemory(4, temperature=1e-3)
    memory.relabel(torch.tensor([0, 0, 1]), torch.eye(4)[:3])
    feats = torch.eye(4)[:1].requires_grad_()
    loss, accuracy = memory.contrast(feats, torch.tensor([0]), 'target')
    loss.backward()
    assert loss.isfinite() and feats.grad.isfinite().all() and accuracy == 100


def test_rows_without_a_label_are_no_class_of_the_hybrid_memory():
    feats = F.normalize(torch.randn(4, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    whole, part = HybridMemory(8), HybridMemory(8)
    whole.relabel(torch.tensor([0, 0, 1, -1]), feats)
    part.relabel(torch.tensor([0, 0, 1]), feats[:3])
    rows = torch.tensor([0, 2])
    near(whole.contrast(feats[rows], rows, 'target')[0], part.contrast(feats[rows], rows, 'target')[0])


def test_source_and_target_may_have_a_softmax_each():
    rows = F.normalize(torch.randn(5, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    losses = {}
    for joint in (True, False):
        memory = ClusterMemory(8, joint=joint)
        memory.expect(2, 3, torch.device('cpu'))
        memory.relabel(torch.tensor([0, 2, 1]), rows[[2, 4, 3]], rows[:2])
        near(memory.features, rows)
        own = memory.rows_of(torch.tensor([0, 1]), 'target'), memory.rows_of(torch.tensor([1, 0]), 'source')
        assert [part.tolist() for part in own] == [[2, 4], [1, 0]]
        losses[joint] = [memory.contrast(rows[:2], own[place], ('target', 'source')[place])[0] for place in (0, 1)]
    logits = rows[:2] @ rows.t() / 0.05
    near(losses[True][0], F.cross_entropy(logits, torch.tensor([2, 4])))
    near(losses[False][0], F.cross_entropy(logits[:, 2:], torch.tensor([0, 2])))
    near(losses[False][1], F.cross_entropy(logits[:, :2], torch.tensor([1, 0])))


@pytest.mark.parametrize('memory', [ClusterMemory(4), ClusterMemory(4, rule='hard'), HybridMemory(4)], ids=str)
def test_features_that_are_not_finite_are_left_out(memory):
    memory.relabel(torch.tensor([0, 1]), torch.eye(4)[:2])
    feats = F.normalize(torch.tensor([[1.0, 1, 0, 0], [torch.nan, 0, 0, 0], [torch.inf, 0, 0, 0]]), dim=1)
    feats[2] = torch.tensor([torch.inf, 0, 0, 0])
    memory.update(feats, torch.tensor([0, 0, 1]))
    near(memory.features[0], F.normalize(memory.momentum * torch.eye(4)[0] + (1 - memory.momentum) * feats[0], dim=0))
    near(memory.features[1], torch.eye(4)[1])


def test_the_first_of_equally_hard_images_counts():
    memory = ClusterMemory(4, rule='hard')
    memory.relabel(torch.tensor([0, 1]), torch.eye(4)[:2])
    memory.update(torch.eye(4)[[0, 2, 3, 1]], torch.tensor([0, 0, 0, 1]))
    near(memory.features, F.normalize(torch.tensor([[0.1, 0, 0.9, 0], [0, 1, 0, 0]]), dim=1))


def test_a_checkpoint_brings_rows_and_labels_where_they_are_expected():
    labels, feats = torch.tensor([0, 1, -1, 1]), F.normalize(torch.randn(4, 4), dim=1)
    for kind in (ClusterMemory, HybridMemory):
        memory = kind(4)
        memory.relabel(labels, feats)
        state = memory.state_dict()
        assert set(state) == {'features', 'labels'}
        tested, resumed, other = kind(4), kind(4), kind(4)
        resumed.expect(0, 4, torch.device('cpu'))
        other.expect(0, 5, torch.device('cpu'))
        for one in (tested, resumed, other):
            assert not any(one.load_state_dict(state))
        assert tested.features is None and other.labels is None
        assert torch.equal(resumed.labels, labels) and torch.equal(resumed.features, memory.features)
        rows = resumed.rows_of(torch.tensor([0, 3]), 'target')
        found, wanted = (one.contrast(feats[[0, 3]], rows, 'target') for one in (resumed, memory))
        assert torch.equal(found[0], wanted[0])


@pytest.mark.parametrize('memory', [dict(type='ClusterMemory'), dict(type='ClusterMemory', rule='hard'),
                                    dict(type='HybridMemory')], ids=str)  # fmt: skip
def test_a_step_does_not_wait_for_the_device(memory):
    head = ContrastHead(8, memory=memory)
    head.memory.expect(2, 6, torch.device('cpu'))
    head.memory.relabel(torch.tensor([0, 0, 1, 2, 2, 2]), torch.randn(6, 8), torch.randn(2, 8))
    head.to('meta')
    assert head.memory.features.is_meta and not head.memory.labels.is_meta
    counter = SyncCounter()
    with counter:
        feats = torch.randn(6, 8, device='meta', requires_grad=True)
        losses = head.target_loss(feats, torch.tensor([0, 1, 2, 4, 5, 3]))
        losses |= head.source_loss(feats, torch.zeros(6, device='meta'), torch.tensor([0, 1, 0, 1, 1, 0]))
        (losses['loss_target'] + losses['loss_source']).backward()
        head.memory.update(*head.memory.take_pending())
    assert not counter.places


def test_what_is_refused():
    head = ContrastHead(4)
    with pytest.raises(RuntimeError, match='PseudoLabelHook'):
        head.target_loss(torch.randn(2, 4), torch.tensor([0, 1]))
    head.memory.relabel(torch.tensor([0, 1, -1]), torch.eye(4)[:3])
    with pytest.raises(ValueError, match='0 to 3.* 0 to 2'):
        head.target_loss(torch.randn(2, 4), torch.tensor([0, 3]))
    with pytest.raises(ValueError, match='MultiGalleryBatchSampler'):
        head.target_loss(torch.randn(2, 4), torch.tensor([0, 2]))
    head.target_loss(torch.randn(2, 4), torch.tensor([0, 1]))
    with pytest.raises(RuntimeError, match='PseudoLabelHook'):
        head.target_loss(torch.randn(2, 4), torch.tensor([0, 1]))
    with pytest.raises(TypeError, match='ExemplarMemory'):
        ContrastHead(4, memory=dict(type='ExemplarMemory'))
    for wrong in (dict(temperature=0), dict(momentum=1.0), dict(rule='soft')):
        with pytest.raises(ValueError, match=str(next(iter(wrong.values())))):
            MODELS.build(dict(type='ClusterMemory', feat_dim=4, **wrong))
