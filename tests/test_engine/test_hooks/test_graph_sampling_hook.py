# Copyright (c) mmreid contributors. All rights reserved.
import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tiny_graph import MapMatcher, build_run, graph_config, hook_of

from mmreid.engine import ReIDRunner
from mmreid.engine.features.class_graph import nearest_classes, pick_images
from mmreid.models import CosineMatcher, EuclideanMatcher, QAConvMatcher

TWO_MODALITIES = dict(
    model=dict(
        type='CrossModalReID',
        backbone=dict(norm_cfg=dict(type='mmreid.BranchBN2d')),
        head=dict(_delete_=True, type='CrossModalHead', in_channels=8, weight_losses=('ce', 'triplet')),
        arch='split',
    ),
    train_dataloader=dict(
        batch_sampler=dict(instance_sampler=dict(type='CrossModalityInstanceSampler', num_instances=1)),
        dataset=dict(two_modalities=True),
    ),
)


MAPS = [MapMatcher(), QAConvMatcher((3, 2)).eval(), QAConvMatcher((3, 2), symmetric=False).eval()]


@pytest.mark.parametrize('matcher', [CosineMatcher(), EuclideanMatcher(), *MAPS])
@pytest.mark.parametrize('each', [1, 2])
def test_nearest_classes_are_those_of_the_whole_matrix(matcher, each):
    shape = (6, 3, 2) if matcher in MAPS else (6,)
    feats = torch.randn(150, each, *shape, generator=torch.Generator().manual_seed(0))
    neighbors, scores = nearest_classes(feats, matcher, 5)
    with torch.no_grad():
        matrix = sum(matcher(feats[:, i], feats[:, j]) for i in range(each) for j in range(each)) / each**2
    expected = matrix.fill_diagonal_(-torch.inf).topk(5)
    assert torch.equal(neighbors, expected.indices)
    torch.testing.assert_close(scores, expected.values, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(('classes', 'k'), [(70, 5), (70, 6), (70, 69), (65, 40), (64, 63), (400, 31), (395, 15)])
@pytest.mark.parametrize('symmetric', [True, False])
def test_neighbors_are_right_when_the_last_block_has_fewer_classes_than_neighbors(classes, k, symmetric):
    matcher = CosineMatcher()
    matcher.symmetric = symmetric
    feats = torch.randn(classes, 1, 6, generator=torch.Generator().manual_seed(0))
    neighbors, scores = nearest_classes(feats, matcher, k)
    expected = matcher(feats[:, 0], feats[:, 0]).fill_diagonal_(-torch.inf).topk(k).values
    torch.testing.assert_close(scores, expected, rtol=1e-5, atol=1e-5)
    places = torch.arange(classes)[:, None]
    assert not (neighbors == places).any() and all(len(set(row)) == k for row in neighbors.tolist())


class CountingMatcher(CosineMatcher):
    """Counts the pairs that it scores."""

    pairs = 0

    def score(self, query, gallery, out=None):
        self.pairs += len(query[0]) * len(gallery[0])
        return super().score(query, gallery, out)


@pytest.mark.parametrize('symmetric', [True, False])
def test_a_symmetric_matcher_scores_each_pair_once(symmetric):
    matcher = CountingMatcher()
    matcher.symmetric = symmetric
    nearest_classes(torch.randn(640, 1, 4, generator=torch.Generator().manual_seed(0)), matcher, 5)
    blocks = 640 // 64
    assert matcher.pairs - 1 == 64**2 * (blocks * (blocks + 1) // 2 if symmetric else blocks**2)


def test_equal_scores_come_in_the_order_of_the_classes_and_never_the_class_itself():
    neighbors, _ = nearest_classes(torch.ones(70, 1, 4), CosineMatcher(), 2)
    assert neighbors[[0, 1, 2, 69]].tolist() == [[1, 2], [0, 2], [0, 1], [0, 1]]


def test_one_seeded_image_stands_for_each_class_and_modality():
    labels = np.repeat(np.arange(5), 6)
    modalities = np.tile(['visible', 'infrared', 'visible'], 10)
    dataset = SimpleNamespace(gt_labels=labels, modalities=modalities)
    classes = np.array([0, 2, 3])
    picked = pick_images(dataset, classes, np.random.default_rng(0))
    assert (labels[picked] == classes[:, None]).all()
    assert (modalities[picked] == ['infrared', 'visible']).all()
    assert np.array_equal(picked, pick_images(dataset, classes, np.random.default_rng(0)))
    many = np.stack([pick_images(dataset, classes, np.random.default_rng(seed)) for seed in range(60)])
    assert set(many[:, :, 0].flat) == set(np.flatnonzero((modalities == 'infrared') & np.isin(labels, classes)))
    modalities[labels == 3] = 'visible'
    single = pick_images(dataset, classes, np.random.default_rng(0))  # a class has one modality only
    assert single.shape == (3, 1) and (labels[single] == classes[:, None]).all()


@pytest.mark.parametrize('changes', [{}, dict(model=dict(matcher=dict(type='EuclideanMatcher'))), TWO_MODALITIES])
def test_the_graph_is_that_of_the_weights_at_the_start_of_the_epoch(work_dir, changes):
    runner = build_run(work_dir, dict(save_table=True), **changes)
    graphs = []

    def expected_graph():
        data, sampler = runner.train_dataloader.dataset, runner.train_dataloader.batch_sampler.sampler
        rng = np.random.default_rng([runner.seed, runner.epoch, 2, 0])
        images = pick_images(data, sampler.classes, rng)
        compose = hook_of(runner, 'GraphSamplingHook')._compose
        batch = [compose(data.get_data_info(int(index))) for index in images.flat]
        runner.model.eval()
        with torch.no_grad():
            samples = [item['data_samples'] for item in batch]
            feats = runner.model.extract_feat(torch.stack([item['inputs'] for item in batch]).float(), samples)
            feats = feats.view(*images.shape, -1)
            each = range(images.shape[1])
            matrix = sum(runner.model.matcher(feats[:, i], feats[:, j]) for i in each for j in each)
        runner.model.train()
        return matrix.fill_diagonal_(-torch.inf).topk(3).indices.tolist()

    record = hook_of(runner, 'RecordHook')
    parent = record.before_train_epoch
    record.before_train_epoch = lambda runner: (parent(runner), graphs.append(expected_graph()))
    runner.train()
    assert [graph.tolist() for graph in record.graphs] == graphs and graphs[0] != graphs[1]
    data = runner.train_dataloader.dataset
    for epoch, batches in enumerate(record.batches):
        labels = data.gt_labels[np.array(batches)]
        labels = labels[:, :4] if changes is TWO_MODALITIES else labels[:, ::2]  # one image of each class
        found = {anchor: neighbors for *neighbors, anchor in labels.tolist()}
        assert found == dict(enumerate(graphs[epoch]))
        saved = np.load(f'{work_dir}/graphs/epoch_{epoch + 1}.npz')
        assert saved['neighbors'].tolist() == (np.array(graphs[epoch]) + 100).tolist()
        assert (data.pids[saved['images']] == saved['pids'][:, None]).all() and saved['scores'].shape == (9, 3)


def test_a_build_leaves_model_and_random_states_alone(work_dir, read_log):
    runner = build_run(work_dir)
    runner._train_loop = runner.build_train_loop(runner._train_loop)
    runner.model.train()
    runner.model.backbone.norm.eval()  # a frozen norm stays frozen
    hook = hook_of(runner, 'GraphSamplingHook')
    hook.before_train(runner)
    before = {key: value.clone() for key, value in runner.model.state_dict().items()}
    modes = [module.training for module in runner.model.modules()]
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    hook.before_train_epoch(runner)
    assert runner.train_dataloader.batch_sampler.sampler.neighbors.shape == (9, 3)
    assert all(torch.equal(value, before[key]) for key, value in runner.model.state_dict().items())
    assert modes == [module.training for module in runner.model.modules()] and False in modes and True in modes
    after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    assert states[:2] == after[:2] and torch.equal(states[2], after[2])
    assert 'graph of epoch 1: 9 classes x 3 neighbors from 9 images in ' in read_log()


def test_interval_and_warmup(work_dir, read_log):
    sampler = dict(sampler=dict(warmup=2))
    runner = build_run(work_dir, dict(interval=3), train_cfg=dict(max_epochs=7), train_dataloader=sampler)
    runner.train()
    record = hook_of(runner, 'RecordHook')
    assert [graph is not None for graph in record.graphs] == [False] * 2 + [True] * 5
    assert [f'graph of epoch {epoch}:' in read_log() for epoch in range(1, 8)] == [
        epoch in (3, 6) for epoch in range(1, 8)
    ]
    assert np.array_equal(record.graphs[2], record.graphs[4]) and not np.array_equal(record.graphs[4], record.graphs[5])
    assert {len(batches) for batches in record.batches} == {9}
    assert record.batches[2] != record.batches[3]  # the same graph in another order


def test_a_warmup_of_all_epochs_is_told(work_dir, read_log):
    build_run(work_dir, train_dataloader=dict(sampler=dict(warmup=2))).train()
    assert 'WARNING - warmup=2 of GraphIdentitySampler is not below max_epochs=2: no graph' in read_log()


@pytest.mark.parametrize('kind', ['plain', 'interval', 'stream'])
def test_resumed_equals_uninterrupted(work_dir, kind):
    hook = dict(interval=3) if kind == 'interval' else {}
    changes = {}
    if kind == 'stream':
        stream = dict(_delete_=True, type='QAConvReferenceSampler', num_instances=2)
        changes = dict(train_dataloader=dict(sampler=dict(_delete_=True, type='DefaultSampler'), batch_sampler=stream))
    record_of = {}

    def train(folder, epochs, **more):
        cfg = graph_config(f'{work_dir}/{folder}', hook, train_cfg=dict(max_epochs=epochs), **changes, **more)
        if kind == 'stream':
            cfg.custom_hooks.pop()
        runner = ReIDRunner.from_cfg(cfg)
        runner.train()
        record_of[folder] = None if kind == 'stream' else hook_of(runner, 'RecordHook')
        return runner.model.state_dict()

    whole = train('whole', 5)
    train('parts', 2)
    parts = train('parts', 5, resume=True)
    if kind != 'stream':
        assert record_of['parts'].batches == record_of['whole'].batches[2:]
    assert all(torch.equal(value, parts[key]) for key, value in whole.items())


def test_what_cannot_work_is_refused_before_training(work_dir):
    identity_sampler = dict(_delete_=True, type='RandomIdentitySampler')
    with pytest.raises(ValueError, match='GraphSamplingHook .*train_dataloader .*GraphIdentitySampler'):
        build_run(work_dir, train_dataloader=dict(sampler=identity_sampler)).train()
    by_iter = dict(_delete_=True, type='IterBasedTrainLoop', max_iters=3)
    with pytest.raises(ValueError, match='GraphSamplingHook .*EpochBasedTrainLoop'):
        build_run(work_dir, train_cfg=by_iter).train()
    with pytest.raises(ValueError, match='val_dataloader .*test_dataloader .*pipeline='):
        build_run(work_dir, dict(pipeline=None)).train()
    with pytest.raises(ValueError, match='interval=0'):
        build_run(work_dir, dict(interval=0))
    with pytest.raises(RuntimeError, match='GraphSamplingHook'):
        build_run(work_dir, custom_hooks=[]).train()


def test_the_pipeline_of_the_validation_is_the_default(work_dir):
    steps = [dict(type='DrawPattern'), dict(type='PackReIDInputs')]
    runner = build_run(work_dir, dict(pipeline=None))
    runner.cfg.val_dataloader = [dict(dataset=dict(type='ImageSplit', dataset=dict(pipeline=steps)))]
    runner.train()
    given = build_run(f'{work_dir}/given')
    given.train()
    for one, other in zip(*(hook_of(each, 'RecordHook').graphs for each in (runner, given)), strict=True):
        assert np.array_equal(one, other)
