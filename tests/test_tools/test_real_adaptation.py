# Copyright (c) mmreid contributors. All rights reserved.
"""The adaptation to real people without labels: its configs train, and its tables compare the right queries."""

import csv

import numpy as np
import pytest
from test_tools.benchmark_scripts import scripts_of
from tiny_data import write_image, write_market

scripts = scripts_of('real')


@pytest.fixture(scope='module')
def clip(tmp_path_factory):
    """Three persons of each half, two tracklets each."""
    root = tmp_path_factory.mktemp('clip')
    with open(root / 'crops.csv', 'w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['img_path', 'pid', 'camid', 'timestamp', 'track', 'tracklet'])
        for tracklet, person in enumerate((1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6)):
            for frame in range(3):
                path = write_image(root / f'images/{tracklet}_{frame}.jpg', person)
                writer.writerow([path.relative_to(root), person, tracklet, frame, person, tracklet])
    return str(root)


@pytest.fixture
def short():
    """One small batch, and lists of neighbors for three images of a tracklet."""
    options = dict.fromkeys(('train_dataloader.batch_sampler.batches_per_epoch', 'train_cfg.max_epochs'), 1)
    clustering = {f'custom_hooks.5.clustering.{key}': value for key, value in dict(k1=5, k2=2, min_samples=2).items()}
    return {'train_dataloader.batch_size': 8, **options, **clustering}


@pytest.mark.parametrize('method', ['Cluster Contrast', 'SpCL', 'Cluster Contrast beside drawn people'])
def test_a_training_starts_from_the_built_in_model_and_keeps_its_norms(method, clip, short, tmp_path):
    import torch
    from adapt import START, adaptation, adapted

    from mmreid.apis import ReIDInferencer

    drawn = str(write_market(tmp_path / 'drawn'))
    if 'beside' in method:
        part = dict(
            batch_size=8, batch_sampler=dict(type='MultiGalleryBatchSampler', num_instances=4, batches_per_epoch=1)
        )
        del short['train_dataloader.batch_sampler.batches_per_epoch']
        short['train_dataloader.batch_size'] = 16
        short['train_dataloader.batch_sampler.parts'] = [dict(part, domain=domain) for domain in (0, 1)]
    cfg = adaptation(method, clip, drawn, 3, without=5, options=short)
    target = cfg.train_dataloader.dataset.get('datasets', [cfg.train_dataloader.dataset])[-1]
    assert target.persons == 'development' and len(target.indices) == 12 and cfg.randomness.seed == 3
    checkpoint = adapted(cfg, tmp_path / 'runs', 'row')
    before = ReIDInferencer(START, device='cpu').model.state_dict()
    after = ReIDInferencer(checkpoint, device='cpu').model.state_dict()
    changed = {key for key, value in before.items() if not torch.equal(value.float(), after[key].float())}
    assert changed and all(key.startswith(('backbone.layer5', 'backbone.layer6')) for key in changed)
    assert not any('running' in key for key in changed)
    assert adapted(cfg, tmp_path / 'runs', 'row') == checkpoint and len(list((tmp_path / 'runs').iterdir())) == 1


def test_a_left_out_person_is_measured_by_what_was_trained_without(clip, monkeypatch):
    import adapt

    dataset = adapt.people(clip, persons='development', split='test')
    persons = np.array([1, 1, 3, 5])
    monkeypatch.setattr(adapt, 'measured', lambda model, _: (np.full((2, 4), int(model)), persons))
    assert adapt.left_out(str, dataset, persons).tolist() == [[1, 1, 3, 5]] * 2


def test_the_gallery_can_be_of_the_measured_half_alone(clip):
    from adapt import people, without_other_half

    whole = people(clip, persons='test', split='test')
    own = without_other_half(whole)
    assert set(whole.pids.tolist()) == {1, 2, 3, 4, 5, 6} and set(own.pids.tolist()) == {2, 4, 6}
    assert (own.splits == 'query').sum() == (own.splits == 'gallery').sum() == (whole.splits == 'query').sum() == 18


def test_a_gain_is_the_difference_of_the_same_queries(clip):
    from adapt import gains
    from measure import row

    persons = np.array([2, 2, 4])
    start = np.array([[0.5, 0.5, 1.0], [0.0, 1.0, 1.0]])
    assert row('start', start, persons).startswith('| start | 66.7 [50.0, 100.0] | 66.7 [50.0, 100.0] |')
    line = gains('more', np.stack([start + 0.1, start + 0.3]), start, persons)
    assert line == '| more | +20.0 [+20.0, +20.0] | +20.0 [+20.0, +20.0] | +10.0, +30.0 | 2: +20.0, 4: +20.0 |'


def test_test_persons_choose_no_settings(clip, capsys):
    from adapt import main

    with pytest.raises(SystemExit):
        main([clip, 'none', '--persons', 'test', '--leave-out'])
    assert 'test persons' in capsys.readouterr().err
