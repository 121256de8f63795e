# Copyright (c) mmreid contributors. All rights reserved.
"""The exemplar memory on two and three gloo processes, replicated and sharded, against one."""

import pytest
import torch
from test_dist.memory_rank_work import everything, model_of
from warm_processes import run_ranks

from mmreid.engine.checkpoints.memory_shards import load_slots

pytestmark = [pytest.mark.dist, pytest.mark.slow]


@pytest.fixture(scope='module', params=[2, 3])
def ranks(request, tmp_path_factory):
    out = tmp_path_factory.mktemp('ranks') / 'out.pth'
    run_ranks(request.param, 'tests/test_dist/memory_rank_work.py', out)
    return out.parent, torch.load(out, weights_only=True)


@pytest.fixture(scope='module')
def one():
    return everything()


@pytest.mark.parametrize('sharded', [False, True])
def test_losses_gradients_neighbors_and_slots_are_those_of_one_memory(ranks, one, sharded):
    for name, value in one[f'steps{sharded}'].items():
        if name.startswith(('loss', 'grad')):  # each rank weighs its own rows, so only those of one rank compare
            continue
        torch.testing.assert_close(ranks[1][f'steps{sharded}'][name], value, rtol=1e-5, atol=1e-6, msg=name)
    for step in range(4):
        found, expected = ranks[1][f'steps{sharded}'], one[f'steps{sharded}']
        torch.testing.assert_close(found[f'loss{step}'], expected[f'loss{step}'], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('sharded', [False, True])
@pytest.mark.parametrize('neighbors', ['training', 'learned'])
def test_one_training_step_is_equal(ranks, one, neighbors, sharded):
    """With the nearest as neighbors, and with those that a graph predicts, which is trained and rated in the step."""
    found, expected = (results[f'{neighbors}{sharded}'] for results in (ranks[1], one))
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-5, msg=name)


def test_the_step_with_learned_neighbors_trains_the_graph_and_chooses_some(one):
    model = model_of(False, learned=True)
    moved = {name for name, value in model.named_parameters() if not torch.equal(one['learnedFalse'][name], value)}
    assert {f'head.invariance.neighbors.graph.layers.{i}.own.weight' for i in (0, 1)} <= moved
    feats, own = model.head.memory.features, torch.arange(len(model.head.memory.features))
    weights = model.head.neighbors.choose(model.head.memory.compare(feats), own, feats)[1]
    assert (weights > 0).any() and (weights == 0).any()


def test_a_sharded_memory_has_the_gradients_of_a_replicated_one(ranks):
    for step in range(4):
        found, expected = (ranks[1][f'steps{sharded}'][f'grad{step}'] for sharded in (True, False))
        # An entry is a sum over slots of terms of both signs, each up to 1 / 0.05, and may nearly cancel; the order of
        # the sum then shows in its last digits. So what counts is the error relative to the largest entry.
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


def test_replicas_are_equal(ranks):
    assert ranks[1]['replicas_equal']


def test_saved_parts_are_read_by_any_number_of_ranks(ranks):
    memory, *read = ranks[1]['shards']
    assert len(read) == 4 and all(torch.equal(memory, other) for other in read)


def test_a_missing_or_exchanged_part_is_refused(ranks):
    parts = sorted(ranks[0].glob('epoch_1.memory-*.pth'))
    manifest = dict(size=[23, 16], world_size=len(parts), parts=[
        dict(name=path.name, first=23 * i // len(parts), sha256='0') for i, path in enumerate(parts)
    ])  # fmt: skip
    with pytest.raises(ValueError, match=r'memory-0of\d.pth .*hash'):
        load_slots(manifest, str(ranks[0]), 0, 23)
    with pytest.raises(FileNotFoundError, match=r'memory-0of\d.pth .*\d parts'):
        load_slots(manifest, str(ranks[0] / 'elsewhere'), 0, 23)
