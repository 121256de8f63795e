# Copyright (c) mmreid contributors. All rights reserved.
"""Batches of a class and its nearest ones: the identity sampler of ours and the stream of the authors of QAConv-GS."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mmreid.datasets import (
    CrossModalityInstanceSampler,
    GraphIdentitySampler,
    IdentityBatchSampler,
    KInstanceSampler,
    MultiDomainBatchSampler,
    QAConvReferenceSampler,
)

GOLDEN = Path(__file__).parents[1] / 'data' / 'golden'


def graph_of(count, neighbors, seed=0):
    """A random graph: different neighbors, none of them the class itself."""
    rng = np.random.default_rng(seed)
    return np.stack([rng.permutation(np.delete(np.arange(count), place))[:neighbors] for place in range(count)])


def make(counts, batch_size=8, k=2, rank=0, world_size=1, seed=0, epoch=0, graph=True, instance_sampler=None, **kwargs):
    dataset = SimpleNamespace(gt_labels=np.repeat(np.arange(len(counts)), counts))
    dataset.modalities = np.tile(['visible', 'infrared'], len(dataset.gt_labels))[: len(dataset.gt_labels)]
    identity_sampler = GraphIdentitySampler(dataset, seed=seed, **kwargs)
    identity_sampler.set_epoch(epoch)
    instance_sampler = instance_sampler or KInstanceSampler(num_instances=k)
    sampler = IdentityBatchSampler(
        identity_sampler, batch_size, instance_sampler=instance_sampler, rank=rank, world_size=world_size
    )
    if graph:
        identity_sampler.set_neighbors(graph_of(identity_sampler.num_classes, identity_sampler.num_neighbors))
    return sampler


def classes_of(sampler, batch):
    """The class of each K images, of the visible half if there are two."""
    return sampler.sampler.labels[batch][: -(-len(batch) // sampler.instance_sampler.images_per_class) * 2 : 2]


@pytest.mark.parametrize('epoch', [0, 3])
def test_each_class_is_anchor_once_beside_its_nearest(epoch):
    sampler = make([5] * 11, epoch=epoch)
    graph = sampler.sampler.neighbors
    batches = list(sampler)
    assert len(batches) == len(sampler) == 11
    anchors = []
    for batch in batches:
        rows = sampler.sampler.labels[batch].reshape(4, 2)
        assert (rows[:, 0] == rows[:, 1]).all() and len(set(batch)) == 8
        *neighbors, anchor = rows[:, 0]
        assert neighbors == graph[anchor].tolist()
        anchors.append(anchor)
    assert sorted(anchors) == list(range(11)) and anchors != list(range(11))


@pytest.mark.parametrize('k', [1, 2, 3])
def test_all_images_are_walked_before_reuse_and_none_repeats_in_a_batch(k):
    counts = np.random.default_rng(0).integers(k, 12, 15)
    sampler = make(counts, batch_size=5 * k, k=k)
    batches = list(sampler)
    assert all(len(set(batch)) == 5 * k for batch in batches)
    stream = np.concatenate(batches)
    for label, count in enumerate(counts):
        drawn = stream[sampler.sampler.labels[stream] == label]
        for start in range(0, len(drawn) - count + 1, count):
            assert len(set(drawn[start : start + count])) == count


def test_a_class_with_too_few_images_repeats_them():
    batches = list(make([1] * 6, batch_size=12, k=4))
    assert len(batches) == 6 and {len(set(batch)) for batch in batches} == {3}


def test_two_modalities():
    sampler = make([6] * 9, batch_size=16, instance_sampler=CrossModalityInstanceSampler(num_instances=2))
    data = sampler.sampler.dataset
    assert len(sampler) == 9
    anchors = []
    for batch in sampler:
        visible, infrared = np.reshape(batch, (2, 8))
        assert (data.modalities[visible] == 'visible').all() and (data.modalities[infrared] == 'infrared').all()
        assert (data.gt_labels[visible] == data.gt_labels[infrared]).all()
        *neighbors, anchor = data.gt_labels[visible].reshape(4, 2)[:, 0]
        assert neighbors == sampler.sampler.neighbors[anchor].tolist()
        anchors.append(anchor)
    assert sorted(anchors) == list(range(9))


@pytest.mark.parametrize('world_size', [2, 3, 4])
@pytest.mark.parametrize('warmup', [0, 1])
def test_ranks_take_the_batches_of_one_rank_in_turn(world_size, warmup):
    ranks = [make([4] * 10, rank=rank, world_size=world_size, warmup=warmup) for rank in range(world_size)]
    one = list(make([4] * 10, warmup=warmup))
    assert {len(sampler) for sampler in ranks} == {-(-10 // world_size)}
    turns = [batch for turn in zip(*ranks, strict=True) for batch in turn]
    assert turns[: len(one)] == one
    last_anchors = [ranks[0].sampler.labels[batch[-1]] for batch in turns[-world_size:]]
    assert warmup or len(set(last_anchors)) == world_size


def test_warmup_takes_random_classes_in_epochs_of_the_same_length():
    cold = make([4] * 10, graph=False, warmup=2, epoch=1)
    batches = list(cold)
    assert len(batches) == len(cold) == 10
    met = np.bincount(np.concatenate([cold.sampler.labels[batch][::2] for batch in batches]))
    assert met.tolist() == [4] * 10  # P x K meets all classes equally often
    cold.sampler.set_epoch(2)
    with pytest.raises(RuntimeError, match="GraphIdentitySampler .*type='GraphSamplingHook'"):
        list(cold)


def test_choice_depends_on_seed_and_epoch_only():
    assert list(make([4] * 10, epoch=2)) == list(make([4] * 10, epoch=2))
    assert list(make([4] * 10, epoch=2)) != list(make([4] * 10, epoch=1))
    assert list(make([4] * 10, seed=1)) != list(make([4] * 10))
    assert len(list(make([4] * 10, batches_per_epoch=3))) == 3


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        (dict(counts=[4] * 3), 'batch_size=8 / 2 .* 4 .* 3; .* 6'),
        (
            dict(counts=[4] * 3, batch_size=2),
            'batch_size=2 / 2 .*train_dataloader.batch_size .* 4',
        ),
        (dict(counts=[4] * 5, world_size=6), '6 ranks .* 5 GPUs'),
        (dict(counts=[4] * 5, warmup=-1), 'warmup=-1'),
    ],
)
def test_what_cannot_be_sampled_is_refused_when_built(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        make(graph=False, **arguments)


def test_a_graph_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r'\(10, 2\) .* 10 .* 3 '):
        make([4] * 10, graph=False).sampler.set_neighbors(graph_of(10, 2))


def test_as_the_source_side_of_two_domains():
    labels = np.repeat(np.arange(9), 4)
    dataset = SimpleNamespace(gt_labels=labels, pids=labels, domains=(labels > 5).astype(int))
    source = dict(domain=0, batch_size=6, sampler=dict(type='mmreid.GraphIdentitySampler'))
    source['batch_sampler'] = dict(
        type='mmreid.IdentityBatchSampler', instance_sampler=dict(type='mmreid.KInstanceSampler')
    )
    source['batch_sampler']['instance_sampler']['num_instances'] = 2
    parts = [source, dict(domain=1, batch_size=4)]
    seeded = SimpleNamespace(dataset=dataset, seed=0, epoch=0, set_epoch=None)
    sampler = MultiDomainBatchSampler(seeded, 10, parts, length_of=0)
    identity_sampler = sampler.parts[0].sampler
    identity_sampler.set_neighbors(graph_of(6, 2))
    batches = np.array(list(sampler))
    assert len(batches) == len(sampler) == 6
    assert (labels[batches[:, :6]] < 6).all() and (labels[batches[:, 6:]] > 5).all()
    assert sorted(labels[batches[:, 5]]) == list(range(6))


def stream_of(golden, **kwargs):
    dataset = SimpleNamespace(gt_labels=golden['pids'])
    sampler = SimpleNamespace(dataset=dataset, seed=int(golden['seed']), epoch=0, set_epoch=None)
    return QAConvReferenceSampler(sampler, int(golden['batch_size']), int(golden['num_instance']), **kwargs)


@pytest.mark.parametrize('name', ['plain', 'k2_b8', 'one_image_each'])
@pytest.mark.parametrize('resumed', [False, True])
def test_the_stream_of_the_authors(name, resumed):
    golden = np.load(GOLDEN / f'05_graph_sampler_{name}.npz')
    stream, epoch = stream_of(golden), 0
    assert stream.classes.tolist() == golden['sampler_pids'].tolist()
    while f'epoch{epoch}/dist' in golden:
        if resumed:
            state, stream = stream.state(), stream_of(golden)
            stream.load_state(state)
        expected = {key.split('/')[1]: golden[key] for key in golden if key.startswith(f'epoch{epoch}/')}
        assert stream.representatives().tolist() == expected['anchor_image'].tolist()
        stream.set_neighbors(expected['topk_index'])
        batches = np.array(list(stream))
        assert batches.tolist() == expected['sam_index'].tolist()
        classes = golden['pids'][batches][:, :: int(golden['num_instance'])]
        assert classes.tolist() == expected['batch_classes'].tolist()
        assert stream.pointers.tolist() == expected['pointer_after'].tolist()
        epoch += 1
    assert epoch


def test_the_stream_over_ranks_and_its_errors():
    golden = np.load(GOLDEN / '05_graph_sampler_k2_b8.npz')
    whole, *ranks = [stream_of(golden), *(stream_of(golden, rank=rank, world_size=2) for rank in range(2))]
    for stream in (whole, *ranks):
        with pytest.raises(RuntimeError, match="QAConvReferenceSampler .*type='GraphSamplingHook'"):
            list(stream)
        stream.set_neighbors(golden['epoch0/topk_index'])
    turns = [batch for turn in zip(*ranks, strict=True) for batch in turn]
    assert turns[:33] == list(whole) and turns[33:] == turns[:1]
    with pytest.raises(ValueError, match='batch_size=32 .* 16 .* 10; .*train_dataloader.batch_size .* 20'):
        few = dict(golden) | dict(pids=np.arange(10), batch_size=32)
        stream_of(few)
