# Copyright (c) mmreid contributors. All rights reserved.
"""Training on visible and infrared images without labels: what is grouped, exact resuming, and what is refused."""

import copy

import numpy as np
import pytest
import torch
from test_tools.test_resume import assert_same
from tiny_config import tiny_config
from tiny_data import write_market
from tiny_world import small_world

from mmreid.datasets.synthetic import SYSUPlan, write_dataset
from mmreid.engine.features import extraction
from mmreid.engine.features.embeddings import extract_embeddings
from mmreid.evaluation.clustering import Clustering
from mmreid.registry import RUNNERS, TASK_UTILS

pytest.importorskip('sklearn')
STAGE_2 = 'adca/adca_resnet50_1xb384-50e_sysu-288x144.py'


@TASK_UTILS.register_module()
class PlantedModalityClusters(Clustering):
    """Groups neighboring images; in the call of a given number, from 0, it finds nobody."""

    def __init__(self, nobody=None):
        self.nobody, self.counter = nobody, [0]  # the list is shared by the copies for the groups

    def __call__(self, features, matcher, epoch):
        self.counter[0] += 1
        finds = self.nobody != self.counter[0] - 1
        return np.arange(len(features)) // 4 if finds else np.full(len(features), -1)


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'sysu'
    plan = SYSUPlan(train_ids=5, val_ids=1, test_ids=1, images_per_camera=2)
    world = small_world(size=(48, 24), cluster_fraction=0.0, cameras=6, infrared=(2, 5))
    write_dataset(root, world, plan)
    return root


def runner_of(data, work_dir, *changes, **hook):
    cfg = tiny_config(STAGE_2, data, work_dir)
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=3)
    for part in cfg.train_dataloader.batch_sampler.parts:
        part.batch_sampler.batches_per_epoch = 2
    cfg.default_hooks.checkpoint.update(interval=1, max_keep_ckpts=9)
    for name, value in hook.items():
        cfg.custom_hooks[-1][name] = value
    for change in changes:
        cfg.merge_from_dict(copy.deepcopy(change))  # merging takes _delete_ out of what it is given
    return RUNNERS.get('ReIDRunner').from_cfg(cfg)


@pytest.fixture(scope='module')
def trained(data, tmp_path_factory):
    """A run of three epochs with labels before the first and the third."""
    folder = tmp_path_factory.mktemp('trained')
    runner = runner_of(data, folder, interval=2, true_labels=True)
    runner.train()
    return runner, folder


def test_each_modality_has_clusters_of_its_own(trained):
    runner, folder = trained
    memory, modalities = runner.model.head.memory, runner.train_dataloader.dataset.modalities
    labels = memory.labels.numpy()
    visible, infrared = ((labels[modalities == name]) for name in ('visible', 'infrared'))
    assert len(visible) == 48 and len(infrared) == 24
    assert set(visible[visible >= 0]) == set(range(visible.max() + 1))
    assert set(infrared[infrared >= 0]) == set(range(visible.max() + 1, len(memory.features)))
    log = next(folder.rglob('*.log')).read_text()
    assert 'pseudo labels of epoch 1: visible ' in log and '; infrared ' in log and 'precision' in log
    assert [f'pseudo labels of epoch {epoch}:' in log for epoch in (1, 2, 3)] == [True, False, True]
    assert 'visible clusters have an infrared partner' in log
    for part, own in zip(runner.train_dataloader.batch_sampler.parts, (visible, infrared), strict=True):
        np.testing.assert_array_equal(part.batch_sampler.labels, own)


def test_a_batch_has_two_views_of_visible_images(trained):
    loader = trained[0].train_dataloader
    batch = next(iter(loader))
    modalities = [sample.modality for sample in batch['data_samples']]
    assert modalities == ['visible'] * 8 + ['infrared'] * 8 + ['visible'] * 8
    assert [sample.sample_idx for sample in batch['data_samples'][:8]] == [
        sample.sample_idx for sample in batch['data_samples'][16:]
    ]


def test_resuming_is_exact_labels_and_memory_included(data, trained, tmp_path):
    _, folder = trained
    whole = torch.load(folder / 'epoch_3.pth', weights_only=True)
    for epoch in (1, 2):  # with the labels of an earlier epoch, and before new ones
        start = dict(resume=True, load_from=str(folder / f'epoch_{epoch}.pth'))
        runner_of(data, tmp_path / str(epoch), start, interval=2, true_labels=True).train()
        found = torch.load(tmp_path / str(epoch) / 'epoch_3.pth', weights_only=True)
        for part in ('state_dict', 'optimizer', 'param_schedulers'):
            assert_same(found[part], whole[part], part)


def test_embeddings_may_be_means_of_an_image_and_its_mirror_image(data, trained):
    runner, _ = trained
    compose = extraction.testing_pipeline(None, runner.cfg, 'test')
    asked = (runner.model, runner.train_dataloader.dataset, np.arange(0, 72, 9), 'target', compose, 5, 0)
    plain, mean = extract_embeddings(*asked), extract_embeddings(*asked, mirror=True)
    torch.testing.assert_close(plain.norm(dim=1), torch.ones(8))
    assert (mean.norm(dim=1) < 1 + 1e-6).all() and not torch.equal(plain, mean)
    flipped = 2 * mean - plain
    torch.testing.assert_close(flipped.norm(dim=1), torch.ones(8))


@pytest.mark.parametrize(('nobody', 'modality'), [(0, '48 visible'), (1, '24 infrared')])
def test_a_modality_without_clusters_is_named(data, tmp_path, nobody, modality):
    clustering = dict(type='PlantedModalityClusters', nobody=nobody)
    with pytest.raises(ValueError, match=f'no clusters among {modality} images'):
        runner_of(data, tmp_path, clustering=clustering).train()


def test_features_that_are_not_finite_are_refused(data, tmp_path):
    runner = runner_of(data, tmp_path)
    runner.model.init_weights()
    runner._init_model_weights = lambda: None
    runner.model.backbone.conv1.infrared.weight.data[0] = torch.nan
    with pytest.raises(ValueError, match='24 of 72 images are not finite'):
        runner.train()


@pytest.mark.parametrize(
    ('change', 'error', 'message'),
    [
        (dict(model=dict(head=dict(memory=dict(_delete_=True, type='HybridMemory')))), TypeError, 'ClusterMemory'),
        (
            dict(
                train_dataloader=dict(
                    batch_size=4,
                    batch_sampler=dict(_delete_=True, type='MultiGalleryBatchSampler', batches_per_epoch=2),
                )
            ),
            ValueError,
            'each needs both modalities.*modality',
        ),
        (
            dict(train_dataloader=dict(batch_sampler=dict(parts=[dict(modality='thermal', batch_size=16)]))),
            ValueError,
            r'no image of modality thermal, it has infrared \(24 images\), visible \(48 images\)',
        ),
        (
            dict(train_dataloader=dict(batch_sampler=dict(parts=[dict(batch_size=16)]))),
            ValueError,
            'domain or modality',
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused(data, tmp_path, change, error, message):
    with pytest.raises(error, match=message):
        runner_of(data, tmp_path, change, clustering=dict(type='PlantedModalityClusters')).train()


def test_a_data_set_of_one_modality_is_refused(tmp_path):
    market = write_market(tmp_path / 'data', num_test=1)
    whole = dict(_delete_=True, type='MultiGalleryBatchSampler', num_instances=4, batches_per_epoch=2)
    pipeline = [dict(type='LoadReIDImage'), dict(type='PackReIDInputs')]
    change = dict(
        train_dataloader=dict(
            batch_size=8,
            batch_sampler=whole,
            dataset=dict(_delete_=True, type='Market1501', data_root=str(market), pipeline=pipeline),
        )
    )
    with pytest.raises(ValueError, match='0 visible and 0 infrared images among 36'):
        runner_of(market, tmp_path, change).train()
