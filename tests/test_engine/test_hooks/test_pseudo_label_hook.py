# Copyright (c) mmreid contributors. All rights reserved.
"""Training with pseudo labels: what an epoch learns from, exact resuming, and what is refused."""

import copy

import numpy as np
import pytest
import torch
from test_tools.test_resume import assert_same
from tiny_config import tiny_config
from tiny_data import write_market

from mmreid.engine.hooks import PseudoLabelHook
from mmreid.evaluation.clustering import Clustering
from mmreid.evaluation.clustering.quality import rate_clusters
from mmreid.models import HybridMemory
from mmreid.registry import RUNNERS, TASK_UTILS

pytest.importorskip('sklearn')
NAME = 'cluster-contrast/cluster-contrast_resnet18_1xb64-20e_procedural-64x32.py'
HYBRID = dict(model=dict(head=dict(memory=dict(_delete_=True, type='HybridMemory'))))


@TASK_UTILS.register_module()
class PlantedClusters(Clustering):
    """Groups neighboring images by the same number, whatever their features; a negative one finds nobody."""

    def __init__(self, size=6):
        self.size = size

    def __call__(self, features, matcher, epoch):
        labels = np.arange(len(features)) // self.size if self.size > 0 else np.full(len(features), -1)
        labels[-1] = -1
        return labels


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return write_market(tmp_path_factory.mktemp('data'), num_test=2, images=3)


def runner_of(data, work_dir, *changes, **hook):
    cfg = tiny_config(NAME, data, work_dir)
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=3)
    cfg.train_dataloader.batch_sampler.batches_per_epoch = 2
    cfg.default_hooks.checkpoint.update(interval=1, max_keep_ckpts=9)
    for name, value in hook.items():
        cfg.custom_hooks[-1][name] = value
    for change in changes:
        cfg.merge_from_dict(copy.deepcopy(change))  # merging takes _delete_ out of what it is given
    return RUNNERS.get('ReIDRunner').from_cfg(cfg)


@pytest.fixture(scope='module', params=[pytest.param('cluster', marks=pytest.mark.long), 'hybrid'])
def trained(request, data, tmp_path_factory):
    """A run of three epochs with labels before the first and the third; its data set, folder and settings."""
    folder = tmp_path_factory.mktemp(request.param)
    changes = [HYBRID] if request.param == 'hybrid' else []
    options = dict(interval=2, true_labels=True)
    if changes:
        clustering = dict(type='SelfPacedDBSCAN', k1=5, k2=2, min_samples=2)
        options |= dict(outliers='own', clustering=clustering)
    runner = runner_of(data, folder, *changes, **options)
    runner.train()
    return runner, folder, changes, options


def test_clusters_are_made_and_learned_from(trained):
    runner, folder, changes, _ = trained
    memory, images = runner.model.head.memory, runner.train_dataloader.dataset
    assert memory.labels.shape == (36,) and memory.labels.max() >= 2
    rows = 36 if isinstance(memory, HybridMemory) else int(memory.labels.max()) + 1
    assert memory.features.shape == (rows, 32)
    torch.testing.assert_close(memory.features.norm(dim=1), torch.ones(rows))
    log = next(folder.rglob('*.log')).read_text()
    assert [f'pseudo labels of epoch {epoch}:' in log for epoch in (1, 2, 3)] == [True, False, True]
    assert 'precision' in log and 'nmi' in log and 'clusters of' in log
    # The colors of the images tell their people; of all pairs of images, a seventh shows one person.
    assert rate_clusters(memory.labels.numpy(), images.pids)['precision'] > 50
    sampler = runner.train_dataloader.batch_sampler
    np.testing.assert_array_equal(sampler.labels, memory.labels.numpy())


def test_resuming_is_exact_labels_and_memory_included(data, trained, tmp_path):
    _, folder, changes, options = trained
    whole = torch.load(folder / 'epoch_3.pth', weights_only=True)
    for epoch in (1, 2):  # with the labels of an earlier epoch, and before new ones
        start = dict(resume=True, load_from=str(folder / f'epoch_{epoch}.pth'))
        runner_of(data, tmp_path / str(epoch), *changes, start, **options).train()
        found = torch.load(tmp_path / str(epoch) / 'epoch_3.pth', weights_only=True)
        for part in ('state_dict', 'optimizer', 'param_schedulers'):
            assert_same(found[part], whole[part], part)
        assert {'head.memory.features', 'head.memory.labels'} <= set(found['state_dict'])


def test_a_graph_lives_as_long_as_the_labels(data, tmp_path):
    """A graph of every second epoch is built twice in four, and a resumed run goes on with it."""
    loader = dict(
        sampler=dict(_delete_=True, type='GraphIdentitySampler', batches_per_epoch=2),
        batch_sampler=dict(
            _delete_=True, type='IdentityBatchSampler', instance_sampler=dict(type='KInstanceSampler', num_instances=2)
        ),
    )
    changes = [dict(train_dataloader=loader, train_cfg=dict(max_epochs=4))]
    hooks = tiny_config(NAME, data, tmp_path).custom_hooks[:-1]
    hooks += [dict(type='PseudoLabelHook', clustering=dict(type='PlantedClusters'))]
    changes.append(dict(custom_hooks=[*hooks, dict(type='GraphSamplingHook', interval=2)]))
    runner_of(data, tmp_path / 'whole', *changes).train()
    start = dict(resume=True, load_from=str(tmp_path / 'whole/epoch_3.pth'))
    runner_of(data, tmp_path / 'resumed', *changes, start).train()
    built = [
        [
            epoch
            for epoch in range(1, 5)
            if f'graph of epoch {epoch}:' in next((tmp_path / run).rglob('*.log')).read_text()
        ]
        for run in ('whole', 'resumed')
    ]
    assert built == [[1, 3], []]
    whole, resumed = (torch.load(tmp_path / run / 'epoch_4.pth', weights_only=True) for run in ('whole', 'resumed'))
    assert_same(resumed['state_dict'], whole['state_dict'], 'state_dict')


def test_a_new_run_from_weights_makes_a_new_memory_and_testing_needs_none(data, trained, tmp_path):
    _, folder, changes, options = trained
    start = dict(load_from=str(folder / 'epoch_3.pth'), train_cfg=dict(max_epochs=1))
    runner = runner_of(data, tmp_path / 'new', *changes, start, **options)
    hook = next(hook for hook in runner.hooks if isinstance(hook, PseudoLabelHook))
    seen = []
    relabel = hook._relabel
    hook._relabel = lambda *args: (seen.append(runner.model.head.memory.features), relabel(*args))
    runner.train()
    assert seen == [None]
    tested = runner_of(data, tmp_path / 'test', *changes, dict(load_from=str(folder / 'epoch_3.pth')))
    tested._train_dataloader = tested._train_loop = tested._optim_wrapper = None
    assert tested.test()['procedural/mAP'] > 0 and tested.model.head.memory.features is None


def test_the_quality_is_measured_only_on_request(data, tmp_path, monkeypatch):
    monkeypatch.delattr('mmreid.engine.hooks.pseudo_label_hook.rate_clusters')
    runner = runner_of(data, tmp_path, dict(train_cfg=dict(max_epochs=1)), clustering=dict(type='PlantedClusters'))
    runner.train()
    log = next(tmp_path.rglob('*.log')).read_text()
    assert '6 clusters of 35 images, 1 images in none' in log and 'precision' not in log


@pytest.mark.parametrize(
    ('size', 'message'),
    [(-1, 'no clusters among 36'), (99, '1 cluster among 36'), (34, 'takes 8 images.* 2 identities or clusters')],
)
def test_labels_that_make_no_batch_are_refused(data, tmp_path, size, message):
    with pytest.raises(ValueError, match=message):
        runner_of(data, tmp_path, clustering=dict(type='PlantedClusters', size=size)).train()


def test_outliers_may_be_classes_of_their_own(data, tmp_path):
    options = dict(clustering=dict(type='PlantedClusters', size=-1), outliers='own')
    runner = runner_of(data, tmp_path, dict(train_cfg=dict(max_epochs=1)), **options)
    runner.train()
    assert runner.model.head.memory.labels.tolist() == list(range(36))


def test_features_that_are_not_finite_are_refused(data, tmp_path):
    runner = runner_of(data, tmp_path)
    runner.model.init_weights()
    runner._init_model_weights = lambda: None
    runner.model.neck.bn.weight.data[0] = torch.nan
    with pytest.raises(ValueError, match='36 of 36 images are not finite'):
        runner.train()


@pytest.mark.parametrize(
    ('change', 'error', 'message'),
    [
        (
            dict(train_cfg=dict(_delete_=True, type='IterBasedTrainLoop', max_iters=2), param_scheduler=None),
            ValueError,
            'EpochBasedTrainLoop',
        ),
        (dict(model=dict(head=dict(_delete_=True, type='ReIDHead', in_channels=32))), TypeError, 'ReIDHead'),
        (
            dict(train_dataloader=dict(batch_sampler=dict(_delete_=True, type='RandomImageBatchSampler'))),
            ValueError,
            'MultiGalleryBatchSampler',
        ),
        (dict(default_hooks=dict(average=dict(type='EMAHook'))), ValueError, 'EMAHook'),
    ],
)
def test_settings_that_do_not_fit_are_refused(data, tmp_path, change, error, message):
    with pytest.raises(error, match=message):
        runner_of(data, tmp_path, change).train()


def test_arguments_out_of_range():
    for wrong in (dict(outliers='keep'), dict(interval=0), dict(batch_size=0)):
        with pytest.raises(ValueError, match=str(next(iter(wrong.values())))):
            PseudoLabelHook(**wrong)
