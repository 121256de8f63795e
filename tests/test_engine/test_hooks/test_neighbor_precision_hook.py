# Copyright (c) mmreid contributors. All rights reserved.
"""How true neighbors are, measured after epochs: what is logged, that nothing is changed by it, what is refused."""

import json
import re

import pytest
import torch
from test_engine.test_hooks.test_memory_update_hook import data, runner_of  # noqa: F401
from test_engine.test_hooks.test_source_memory import NEIGHBORS, plus
from test_tools.test_resume import assert_same

from mmreid.engine.hooks import NeighborPrecisionHook

RATES = {'knn_precision', 'gpp_precision', 'recall', 'chosen_recall', 'chosen'}


def train(data, folder, hook=None, **changes):  # noqa: F811
    """Trains two epochs; gives the runner and, by epoch, the names and values that were logged."""
    runner = runner_of(data, folder, **{'train_cfg': dict(max_epochs=2), **changes})
    if hook is not None:
        runner.register_hook(dict(type='NeighborPrecisionHook', **hook))
    runner.train()
    (log,) = folder.rglob('scalars.json')
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    logged = {}
    for row in rows:
        part = {key.partition('/')[2]: value for key, value in row.items() if key.startswith('neighbors/')}
        logged.setdefault(row['step'], {}).update(part)
    return runner, {epoch: part for epoch, part in logged.items() if part}


def test_learned_neighbors_are_measured_on_both_domains(data, tmp_path):  # noqa: F811
    hook = dict(target_labels=True, k=1, num_queries=8)
    runner, logged = train(data, tmp_path, hook, **plus(), train_cfg=dict(max_epochs=4))  # to write all slots
    assert set(logged) == {1, 2, 3, 4}
    for domain in ('source', 'target'):
        assert {f'{domain}_{name}' for name in RATES} <= set(logged[4])
    # The slots 0, 1, 2, 3, 5, 6, 7, 8 of the target; each identity has two neighboring ones.
    feats = runner.model.head.memory.features
    near = (feats @ feats.t()).fill_diagonal_(-2).argmax(1)
    right = [int(near[slot]) == slot ^ 1 for slot in (0, 1, 2, 3, 5, 6, 7, 8)]
    assert logged[4]['target_knn_precision'] == pytest.approx(100 * sum(right) / 8)


def test_target_labels_are_not_read_unless_asked_for(data, tmp_path):  # noqa: F811
    _, logged = train(data, tmp_path, dict(interval=2), **plus())
    assert set(logged) == {2} and all(name.startswith('source_') for name in logged[2])


def test_plain_neighbors_are_measured_on_the_target_alone(data, tmp_path):  # noqa: F811
    _, logged = train(data, tmp_path / 'labels', dict(target_labels=True))
    assert set(logged[1]) == {'target_knn_precision', 'target_recall'}
    assert train(data, tmp_path / 'none', {})[1] == {}
    (log,) = tmp_path.glob('none/*/*.log')
    assert re.search('NeighborPrecisionHook .*held_out_every.*target_labels=False', log.read_text())


def test_measuring_changes_nothing(data, tmp_path):  # noqa: F811
    norm = dict(model=dict(head=dict(invariance=dict(neighbors=dict(NEIGHBORS, norm=True)))))
    for name, hook in (('plain', None), ('measured', dict(target_labels=True))):
        train(data, tmp_path / name, hook, **norm)
    files = [torch.load(tmp_path / name / 'epoch_2.pth', weights_only=True) for name in ('plain', 'measured')]
    for part in ('state_dict', 'optimizer'):
        assert_same(files[1][part], files[0][part], part)


def test_what_cannot_be_measured_is_refused(data, tmp_path):  # noqa: F811
    with pytest.raises(ValueError, match='NeighborPrecisionHook .*ExemplarMemory'):
        train(data, tmp_path / 'none', {}, model=dict(head=dict(invariance=dict(neighbors=None))))
    runner = runner_of(data, tmp_path / 'unlabeled')
    runner.register_hook(dict(type='NeighborPrecisionHook', target_labels=True))
    dataset = runner.train_dataloader.dataset
    dataset.gt_labels[dataset.domains == dataset.target_domain] = range(10, 20)
    with pytest.raises(ValueError, match='target_labels=True .*10 images'):
        runner.train()
    with pytest.raises(ValueError, match='k=0, num_queries=1000 and interval=1 '):
        NeighborPrecisionHook(k=0)
