# Copyright (c) mmreid contributors. All rights reserved.
"""Two modalities without labels: the step of ADCA against the recorded one, and the aggregated memory."""

import numpy as np
import pytest
import torch
from golden_networks import GOLDEN
from sync_counter import SyncCounter
from torch import nn

from mmreid.models import ClusterMemory, ContrastHead, aggregate_memories, match_clusters


def arrays(name):
    data = np.load(GOLDEN / f'{name}.npz')
    return {key: torch.from_numpy(np.asarray(data[key])) for key in data.files}


def groups_of(num_visible, num_infrared):
    items = torch.arange(num_visible + num_infrared)
    return dict(visible=items[:num_visible], infrared=items[num_visible:])


def near(found, expected, tolerance=1e-5):
    torch.testing.assert_close(found.detach(), expected, rtol=tolerance, atol=tolerance)


def test_the_step_of_both_modalities_is_the_official_one():
    """Losses, the weights of an encoder after a step of SGD, and the memories after it."""
    data = arrays('13_adca_joint_step')
    head = ContrastHead(16, memory=dict(type='ClusterMemory', temperature=data['temp'].item(), momentum=0.1))
    rows = data['memory_rgb_0'], data['memory_ir_0']
    # An image of each cluster, whose feature its row begins as.
    head.memory.expect(0, sum(map(len, rows)), torch.device('cpu'), groups_of(*map(len, rows)))
    head.memory.relabel(torch.arange(sum(map(len, rows))), torch.cat(rows))
    encoder = nn.Linear(16, 16, bias=False)
    encoder.weight.data.copy_(torch.eye(16))
    images = torch.cat([data['rgb'], data['rgb_aug'], data['ir']])
    slots = torch.cat([data['labels_rgb'], data['labels_rgb'], len(rows[0]) + data['labels_ir']])
    losses = head.train().modality_losses(encoder(images), slots, 2 * len(data['rgb']))
    total = losses['loss_visible'] + losses['loss_infrared']
    near(total, data['total_loss'].float())
    total.backward()
    torch.optim.SGD(encoder.parameters(), lr=data['lr'].item()).step()
    near(encoder.weight.t(), data['w_after'])
    head.memory.update(*head.memory.take_pending())
    near(head.memory.features, torch.cat([data['memory_rgb'], data['memory_ir']]))


def aggregated(labels, feats, num_visible, **options):
    memory = ClusterMemory(feats.shape[1], aggregation=options)
    memory.expect(0, len(feats), torch.device('cpu'), groups_of(num_visible, len(feats) - num_visible))
    memory.relabel(labels, feats)
    return memory


@pytest.mark.parametrize('options', [{}, dict(threshold=0.3, keep=0.6, normalize=True)])
def test_new_rows_of_visible_clusters_are_moved_toward_infrared_ones(options):
    data = arrays('13_adca_cma_plain')
    visible, infrared = data['labels_rgb'], data['labels_ir']
    first = int(visible.max()) + 1
    labels = torch.cat([visible, torch.where(infrared < 0, -1, first + infrared)])
    feats = torch.cat([data['features_rgb'], data['features_ir']])
    plain = ClusterMemory(feats.shape[1])
    plain.expect(0, len(feats), torch.device('cpu'), groups_of(len(visible), len(infrared)))
    plain.relabel(labels, feats)
    found = aggregated(labels, feats, len(visible), **options).features
    matches = match_clusters(
        data['features_rgb'], data['features_ir'], visible, infrared, options.get('threshold', 0.5)
    )
    moved = aggregate_memories(
        plain.features[:first], plain.features[first:], *matches, options.get('keep', 0.1), bool(options)
    )
    assert len(matches[0]) > 3
    near(found, torch.cat([moved, plain.features[first:]]))


def test_images_are_compared_with_the_clusters_of_their_modality_only():
    feats = torch.eye(6)
    memory = ClusterMemory(6, temperature=1.0)
    memory.expect(0, 6, torch.device('cpu'), groups_of(2, 4))
    memory.relabel(torch.tensor([0, 1, 2, 3, 4, -1]), feats)
    loss, accuracy = memory.contrast(feats[:2], memory.rows_of(torch.tensor([0, 1]), 'visible'), 'visible')
    near(loss, torch.tensor([1.0, 0.0]).logsumexp(0) - 1)
    assert accuracy == 100
    loss, _ = memory.contrast(feats[2:5], memory.rows_of(torch.tensor([2, 3, 4]), 'infrared'), 'infrared')
    near(loss, torch.tensor([1.0, 0.0, 0.0]).logsumexp(0) - 1)
    with pytest.raises(ValueError, match='infrared images without a pseudo label'):
        memory.check(torch.tensor([2, 5]), 'infrared')


def test_a_loaded_memory_knows_its_modalities():
    labels, feats = torch.tensor([1, 0, 2, 3, 2, -1]), torch.randn(6, 4)
    saved = aggregated(labels, feats, 2)
    loaded = ClusterMemory(4)
    loaded.expect(0, 6, torch.device('cpu'), groups_of(2, 4))
    loaded.load_state_dict(saved.state_dict())
    query, rows = torch.randn(3, 4), torch.tensor([2, 3, 3])
    near(loaded.contrast(query, rows, 'infrared')[0], saved.contrast(query, rows, 'infrared')[0])


def test_a_step_does_not_wait_for_the_device():
    head = ContrastHead(4).train()
    head.memory.expect(0, 6, torch.device('cpu'), groups_of(3, 3))
    head.memory.relabel(torch.tensor([0, 1, 0, 2, 3, 2]), torch.randn(6, 4))
    head.to('meta')
    feats = torch.randn(8, 4, device='meta', requires_grad=True)
    counter = SyncCounter()
    with counter:
        losses = head.modality_losses(feats, torch.tensor([0, 1, 0, 2, 3, 4, 5, 4]), 4)
        sum(value for name, value in losses.items() if 'loss' in name).backward()
        head.memory.update(*head.memory.take_pending())
    assert not counter.places


@pytest.mark.parametrize(
    ('options', 'named'), [(dict(threshold=1.5), '1.5'), (dict(keep=-0.1), '-0.1'), (dict(keep=2), '2')]
)
def test_options_of_the_aggregation_out_of_range(options, named):
    with pytest.raises(ValueError, match=named):
        ClusterMemory(4, aggregation=options)


def test_an_aggregation_needs_two_modalities():
    with pytest.raises(ValueError, match='UnsupervisedCrossModalReID'):
        ClusterMemory(4, aggregation={}).expect(0, 6, torch.device('cpu'))
