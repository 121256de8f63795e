# Copyright (c) mmreid contributors. All rights reserved.
import pytest
import torch
from mmengine.registry import DATASETS as ROOT_DATASETS
from mmengine.registry import HOOKS as ROOT_HOOKS
from mmengine.registry import METRICS as ROOT_METRICS
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import DefaultScope, Registry
from tiny_data import write_market

from mmreid import registry
from mmreid.registry import DATA_SAMPLERS, DATASETS, METRICS, MODELS, TRANSFORMS


@pytest.mark.parametrize('name', [name for name in registry.__all__ if name != 'FUNCTIONS'])
def test_every_registry_is_a_child_of_mmpretrain_and_known_to_the_root(name):
    ours = getattr(registry, name)
    assert ours.scope == 'mmreid' and ours.parent.scope == 'mmpretrain'
    root = ours
    while root.parent is not None:
        root = root.parent
    assert root.children['mmreid'] is ours


def test_unprefixed_names_of_mmpretrain_and_ours_resolve():
    for reg, names in (
        (MODELS, ['ResNet', 'ImageReID', 'LabelSmoothLoss', 'GeneralizedMeanPooling']),
        (TRANSFORMS, ['RandomErasing', 'Resize', 'PackReIDInputs']),
        (DATASETS, ['Market1501']),
        (DATA_SAMPLERS, ['DefaultSampler', 'IdentityBatchSampler']),
        (METRICS, ['ReIDMetric']),
    ):
        for name in names:
            assert reg.get(name) is not None, name


def test_nested_unprefixed_defaults_of_mmpretrain_build():
    with DefaultScope.overwrite_default_scope('mmreid'):
        head = MODELS.build(dict(type='LinearClsHead', num_classes=3, in_channels=4))
    assert type(head.loss_module).__name__ == 'CrossEntropyLoss'


def test_ours_resolve_under_a_foreign_default_scope():
    sibling = Registry('model', parent=ROOT_MODELS, scope='foreign')
    with DefaultScope.overwrite_default_scope('foreign'):
        assert ROOT_MODELS.build(dict(type='mmreid.CosineMatcher')).__class__.__name__ == 'CosineMatcher'
        assert ROOT_HOOKS.build(dict(type='mmreid.EpochSeedHook')).__class__.__name__ == 'EpochSeedHook'
        assert sibling.build(dict(type='mmreid.TripletLoss')).__class__.__name__ == 'TripletLoss'
        assert sibling.get('TripletLoss') is None


@pytest.mark.parametrize('scope', ['mmpretrain', 'mmengine', 'foreign2'])
def test_a_model_without_nested_prefixes_builds_under_another_default_scope(scope):
    if 'foreign2' not in ROOT_MODELS.children:
        Registry('model', parent=ROOT_MODELS, scope='foreign2')
    with DefaultScope.overwrite_default_scope(scope):
        model = ROOT_MODELS.build(
            dict(
                type='mmreid.ImageReID',
                backbone=dict(type='ResNet', depth=18, base_channels=4),
                neck=dict(type='BNNeck', in_channels=32, pool=dict(type='GeneralizedMeanPooling')),
                head=dict(type='ReIDHead', in_channels=32, num_classes=3, loss_metric=dict(type='TripletLoss')),
            )
        )
        assert DefaultScope.get_current_instance().scope_name == scope
    assert type(model.matcher).__name__ == 'CosineMatcher'
    assert type(model.head.loss_metric).__name__ == 'TripletLoss'


def test_names_of_a_project_below_mmreid_are_found_in_its_scope():
    below = Registry('model', parent=MODELS, scope='below')

    @below.register_module()
    class LossBelow(torch.nn.Module):
        pass

    head = dict(type='mmreid.ReIDHead', in_channels=8, num_classes=3, loss_metric=dict(type='LossBelow'))
    with DefaultScope.overwrite_default_scope('below'):
        assert isinstance(ROOT_MODELS.build(head).loss_metric, LossBelow)


def test_parts_of_data_and_metrics_need_no_prefix_under_another_default_scope(tmp_path):
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        pipeline = [dict(type='LoadReIDImage'), dict(type='PackReIDInputs')]
        root = str(write_market(tmp_path))
        market = ROOT_DATASETS.build(dict(type='mmreid.Market1501', data_root=root, pipeline=pipeline))
        assert market[0]['data_samples'].pid == 2
        metric = ROOT_METRICS.build(dict(type='mmreid.ReIDMetric', post=[dict(type='KReciprocalRerank')]))
    assert type(metric.post[0]).__name__ == 'KReciprocalRerank'
