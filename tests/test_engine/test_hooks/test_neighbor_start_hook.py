# Copyright (c) mmreid contributors. All rights reserved.
"""Neighbors that wait until those of held-out people are right: when they start, what is kept, what is refused."""

import shutil

import pytest
import torch
from test_engine.test_hooks.test_memory_update_hook import data, runner_of  # noqa: F401
from tiny_data import write_image

from mmreid.engine.hooks import NeighborStartHook
from mmreid.models.heads.target_invariance import TargetInvariance


def train(data, folder, precision=0.5, hook=True, split=True, **changes):  # noqa: F811
    """Trains on half of the people of ``larger``; the other half is held out."""
    people = dict(type='Market1501', data_root=str(data['larger']), split='train')
    cfg_changes = dict(model=dict(head=dict(invariance=dict(neighbor_precision=precision))), **changes)
    runner = runner_of(data, folder, **cfg_changes)
    source = runner.cfg.train_dataloader.dataset.datasets[0]
    source.data_root = str(data['larger'])
    if split:
        half = dict(type='IdentitySplit', folds=2)
        runner.cfg.train_dataloader.dataset.datasets[0] = dict(half, part='train', dataset=source)
        people = dict(half, part='held_out', dataset=people)
    runner._train_dataloader = runner.cfg.train_dataloader
    if hook:
        runner.register_hook(dict(type='NeighborStartHook', dataset=people, k=1, batch_size=4))
    runner.train()
    return runner


def painted_again(folders):
    """Gives every fourth image of ``larger`` a color of its own, so that some of the nearest are wrong."""
    for seed, path in enumerate(sorted(folders['larger'].rglob('*.jpg'))):
        if seed % 4 == 0:
            write_image(path, 1000 + seed)
    return folders


def measured(monkeypatch, *precisions):
    """Replaces what is measured, in order; returns the epochs of the measurements."""
    epochs, values = [], iter(precisions)

    def measure(self, runner):
        epochs.append(runner.epoch)
        return next(values)

    monkeypatch.setattr(NeighborStartHook, '_measure', measure)
    return epochs


def slots_per_row(monkeypatch):
    """Collects how many slots a row is drawn to, in each step."""
    widths, targets = [], TargetInvariance.targets

    def watched(self, *args):
        found = targets(self, *args)
        widths.append(found[0].shape[1])
        return found

    monkeypatch.setattr(TargetInvariance, 'targets', watched)
    return widths


def test_neighbors_start_when_enough_are_right_and_stay(data, tmp_path, monkeypatch):  # noqa: F811
    epochs, widths = measured(monkeypatch, 49.9, 50.0), slots_per_row(monkeypatch)
    runner = train(data, tmp_path / 'whole')
    steps = len(widths) // 4
    assert epochs == [1, 2]  # neighbor_epoch is 1
    assert widths == [1] * 2 * steps + [4] * 2 * steps  # its own slot, and 3 neighbors
    assert not runner.model.head.invariance.waiting

    epochs = measured(monkeypatch)  # a resumed run measures no more
    resume = dict(resume=True, load_from=str(tmp_path / 'whole/epoch_3.pth'))
    del widths[:]
    train(data, tmp_path / 'resumed', **resume)
    assert epochs == [] and set(widths) == {4}


def test_a_resumed_run_goes_on_waiting(data, tmp_path, monkeypatch):  # noqa: F811
    measured(monkeypatch, 10.0, 10.0, 10.0)
    train(data, tmp_path / 'whole')
    epochs = measured(monkeypatch, 90.0)
    runner = train(data, tmp_path / 'resumed', resume=True, load_from=str(tmp_path / 'whole/epoch_2.pth'))
    assert epochs == [2] and not runner.model.head.invariance.waiting


def test_it_measures_the_nearest_images_of_held_out_people(data, tmp_path, monkeypatch):  # noqa: F811
    found, measure = [], NeighborStartHook._measure

    def watched(self, runner):
        before = {name: value.clone() for name, value in runner.model.state_dict().items()}
        state = torch.get_rng_state()
        found.append(measure(self, runner))
        model, dataset = runner.model, self._dataset
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
        assert torch.equal(state, torch.get_rng_state()) and model.training
        model.eval()
        with torch.no_grad():
            images = [self._compose(dataset.get_data_info(index))['inputs'] for index in range(len(dataset))]
            feats = model.embed(model.data_preprocessor(dict(inputs=images))['inputs'], 'source').after
        model.train()
        near = torch.cdist(*[torch.nn.functional.normalize(feats)] * 2).fill_diagonal_(9).argmin(1)
        pids = torch.from_numpy(dataset.pids)
        assert found[-1] == pytest.approx(100 * float((pids[near] == pids).double().mean()))
        return found[-1]

    monkeypatch.setattr(NeighborStartHook, '_measure', watched)
    painted = dict(data, larger=tmp_path / 'painted')
    shutil.copytree(data['larger'], painted['larger'])
    train(painted_again(painted), tmp_path / 'run', precision=0.999)
    assert any(0 < value < 100 for value in found)


def test_what_cannot_work_is_refused(data, tmp_path):  # noqa: F811
    with pytest.raises(ValueError, match=r'neighbor_precision=50 of InvarianceHead'):
        TargetInvariance(4, neighbor_precision=50)
    with pytest.raises(ValueError, match='k=0'):
        NeighborStartHook(dict(), k=0)
    with pytest.raises(ValueError, match='neighbor_precision'):
        train(data, tmp_path / 'none', precision=None)
    with pytest.raises(ValueError, match='12 of the 12 images .*trained on.*IdentitySplit'):
        train(data, tmp_path / 'known', split=False)
    with pytest.raises(ValueError, match=r'invariance\.neighbor_precision .*NeighborStartHook'):
        train(data, tmp_path / 'alone', hook=False)
