# Copyright (c) mmreid contributors. All rights reserved.
"""Graph sampling on two and three gloo processes against one."""

import signal

import numpy as np
import pytest
import torch
from test_dist.graph_rank_work import EPOCHS, everything
from warm_processes import run_ranks

pytestmark = [pytest.mark.dist, pytest.mark.slow]


@pytest.fixture(scope='module')
def one(tmp_path_factory):
    return everything(str(tmp_path_factory.mktemp('one')))


def launch(size, folder, *tasks, check=True):
    return run_ranks(size, 'tests/test_dist/graph_rank_work.py', folder, *tasks, check=check)


@pytest.fixture(scope='module')
def two(tmp_path_factory):
    """A run that is killed in its third epoch, which new processes resume, before they do the rest."""
    folder = tmp_path_factory.mktemp('two')
    assert launch(2, folder, 'killed', check=False).returncode == -signal.SIGKILL
    assert sorted(path.name for path in folder.glob('parts/*.pth')) == ['epoch_1.pth', 'epoch_2.pth']
    launch(2, folder, 'resumed', 'whole', 'everything')
    return folder


@pytest.fixture(scope='module')
def three(tmp_path_factory):
    folder = tmp_path_factory.mktemp('three')
    launch(3, folder, 'everything')
    return folder


@pytest.fixture(params=['two', pytest.param('three', marks=pytest.mark.long)])
def ranks(request):
    outcome = torch.load(request.getfixturevalue(request.param) / 'outcome.pth', weights_only=True)
    return len(outcome['graphs']), outcome


def test_every_rank_has_the_graph_of_one(ranks, one):
    size, outcome = ranks
    assert outcome['graphs'] == one['graphs'] * size
    assert outcome['scored'] == one['scored'] * size
    graphs = one['graphs'][0]
    assert len(graphs) == EPOCHS and graphs[0] != graphs[1]  # other images stand for the classes
    pids = 100 + np.array(graphs)
    assert [table['neighbors'] for table in outcome['saved']] == pids.tolist()


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


def test_killed_and_resumed_on_two_ranks_equals_uninterrupted(two):
    """The graph for three epochs, in whose last one the run was killed, is that of the checkpoint."""
    whole, parts = (torch.load(two / run / 'epoch_4.pth', weights_only=True) for run in ('whole', 'parts'))
    assert all(torch.equal(value, parts['state_dict'][key]) for key, value in whole['state_dict'].items())
    momenta = [[entry['momentum_buffer'] for entry in run['optimizer']['state'].values()] for run in (whole, parts)]
    assert momenta[0] and all(torch.equal(*pair) for pair in zip(*momenta, strict=True))
