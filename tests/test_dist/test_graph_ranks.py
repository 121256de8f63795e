# Copyright (c) mmreid contributors. All rights reserved.
"""Graph sampling on two and three gloo processes against one."""

import numpy as np
import pytest
import torch
from test_dist.graph_rank_work import EPOCHS, everything
from test_tools.tool_runs import run

pytestmark = [pytest.mark.dist, pytest.mark.slow]


@pytest.fixture(scope='module')
def one(tmp_path_factory):
    return everything(str(tmp_path_factory.mktemp('one')))


@pytest.fixture(scope='module', params=[2, 3])
def ranks(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp('ranks')
    launch = ['--standalone', f'--nproc_per_node={request.param}', 'tests/test_dist/graph_rank_work.py']
    run('-m', 'torch.distributed.run', *launch, folder)
    return request.param, torch.load(folder / 'outcome.pth', weights_only=True)


def test_every_rank_has_the_graph_of_one(ranks, one):
    size, outcome = ranks
    assert outcome['graphs'] == one['graphs'] * size
    assert outcome['scored'] == one['scored'] * size
    graphs = one['graphs'][0]
    assert len(graphs) == EPOCHS and graphs[0] != graphs[1]  # other images stand for the classes
    pids = 100 + np.array(graphs)
    assert [table['neighbours'] for table in outcome['saved']] == pids.tolist()


def test_ranks_take_the_batches_of_one_in_turn(ranks, one):
    size, outcome = ranks
    labels = np.array(one['labels'])
    for epoch in range(EPOCHS):
        (whole,) = (batches[epoch] for batches in one['batches'])
        parts = [batches[epoch] for batches in outcome['batches']]
        assert {len(part) for part in parts} == {-(-70 // size)}
        turns = [batch for turn in zip(*parts, strict=True) for batch in turn]
        assert turns[:70] == whole
        anchors = labels[np.array(turns)[:, -1]].reshape(-1, size)
        assert all(len(set(turn)) == size for turn in anchors.tolist()) and set(anchors.flat) == set(range(70))


def test_two_ranks_resume_bitwise(tmp_path):
    """A graph for three epochs, in the middle of which the run is cut off."""
    states = {}
    for folder, parts in (('whole', [4]), ('parts', [2, 4])):
        for epochs in parts:
            launch = ['--standalone', '--nproc_per_node=2', 'tests/test_dist/graph_resume_work.py']
            run('-m', 'torch.distributed.run', *launch, tmp_path / folder, str(epochs))
        states[folder] = torch.load(tmp_path / folder / 'epoch_4.pth', weights_only=True)['state_dict']
    assert all(torch.equal(value, states['parts'][key]) for key, value in states['whole'].items())
