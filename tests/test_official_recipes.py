# Copyright (c) mmreid contributors. All rights reserved.
"""The official configs keep the published settings, whatever becomes of the configs that they share bases with."""

import pytest
from tiny_config import ROOT

from mmreid.models import InvarianceHead, PairwiseHead
from mmreid.registry import MODELS
from mmreid.utils.config import load_config

SGD = dict(type='SGD', momentum=0.9, nesterov=True, weight_decay=5e-4)
QACONV = ['market1501', 'msmt17', 'msmt17-all', 'randperson']
ECN = ['duke2market', 'market2duke', 'market2msmt', 'duke2msmt']


def config(name):
    (path,) = (ROOT / 'configs').glob(f'*/{name}.py')
    return load_config(str(path))


def hook_of(cfg, kind):
    return next(dict(hook) for hook in cfg.custom_hooks if hook.type == kind)


def types(pipeline):
    return [step.type for step in pipeline]


@pytest.mark.parametrize(('data', 'momentum', 'tests_every'), [('sysu', 0.003, 2), ('regdb', 0.032, 10)])
def test_cmnas(data, momentum, tests_every):
    cfg = config(f'cmnas-official_resnet50_1xb128-120e_{data}-256x128')
    loader = cfg.train_dataloader
    assert loader.batch_size == 128 and loader.sampler == dict(type='DefaultSampler', shuffle=True)
    assert loader.batch_sampler == dict(type='CMNASReferenceSampler', num_instances=4)
    order = ['LoadReIDImage', 'Resize', 'RandomCrop', 'RandomFlip', 'RedrawnErasing', 'PackReIDInputs']
    assert types(loader.dataset.pipeline) == order and loader.dataset.pipeline[2].padding == 10
    assert cfg.optim_wrapper.optimizer == dict(type='Adam', lr=1e-3, betas=(0.5, 0.999), weight_decay=5e-4)
    assert cfg.optim_wrapper.paramwise_cfg.custom_keys == dict(neck=dict(lr_mult=10.0), head=dict(lr_mult=10.0))
    assert cfg.train_cfg.max_epochs == 120 and cfg.param_scheduler[1].milestones == [40, 70]
    average = hook_of(cfg, 'OverwritingEMAHook')
    assert (average['momentum'], cfg.train_cfg.val_interval) == (momentum, tests_every)
    assert average['update_buffers'] and not average['evaluate_on_ema'] and average['evaluate_on_origin']
    head = cfg.model.head
    weights = [head[loss].get('loss_weight', 1.0) for loss in ('loss_cls', 'loss_triplet', 'loss_correlation')]
    assert weights == [1.0, 1.0, 5.0] and head.loss_mmd.loss_weight == 0.05 and head.loss_triplet.margin == 0.4
    assert 'weight_losses' not in head and cfg.model.backbone.strides == (1, 2, 2, 1)


@pytest.mark.parametrize('name', ['agw_resnet50_1xb64-81e', 'agw-caj_resnet50_1xb64-100e'])
@pytest.mark.parametrize('data', ['sysu', 'regdb'])
def test_agw_and_caj(data, name):
    cfg = config(f'{name}_{data}-288x144')
    caj = name.startswith('agw-caj')
    loader = cfg.train_dataloader
    assert loader.batch_size == 64 and loader.batch_sampler == dict(type='CMNASReferenceSampler', num_instances=4)
    *first, last = loader.dataset.pipeline
    views = [*last.visible, *last.infrared] if caj else [first[2:]]
    start = ['RandomCrop', 'RandomFlip']
    erased = [*start, 'RedrawnErasing']
    expected = [erased, [*erased, 'ChannelExchange'], [*erased, 'AdaptiveGray']] if caj else [start]
    assert list(map(types, views)) == expected and all(view[0].padding == 10 for view in views)
    assert types(first[:2]) == ['LoadReIDImage', 'Resize'] and len(last.get('visible', ())) == 2 * caj
    model = cfg.model
    assert model.copied_layers == ('conv1', 'bn1') and model.backbone.non_local_cfg == dict(reduction=2048)
    assert model.backbone.strides == (1, 2, 2, 1) and not model.neck.pool.p_trainable
    triplet = dict(type='SquaredDifferenceTripletLoss' if caj else 'WeightedTripletLoss')
    assert model.head.loss_triplet == triplet and model.head.loss_correlation is model.head.loss_mmd is None
    assert cfg.optim_wrapper.optimizer == dict(SGD, lr=0.01) and model.get('flip_test', False) == caj


@pytest.mark.parametrize(('data', 'eps', 'batches'), [('sysu', 0.6, 200), ('regdb', 0.3, 100)])
def test_adca(data, eps, batches):
    cfg, stage_1 = (config(f'{name}_resnet50_1xb384-50e_{data}-288x144') for name in ('adca', 'adca-stage1'))
    assert cfg.model.head.memory.pop('aggregation') == dict(threshold=0.5, keep=0.1, normalize=False)
    assert cfg.pop('load_from') == f'work_dirs/adca-stage1_resnet50_1xb384-50e_{data}-288x144/epoch_50.pth'
    assert {key: cfg[key] for key in cfg} == {key: stage_1[key] for key in cfg} and 'load_from' in stage_1
    loader = cfg.train_dataloader
    assert [(part.modality, part.batch_size) for part in loader.batch_sampler.parts] == [
        ('visible', 128), ('infrared', 256),
    ]  # fmt: skip
    drawn = dict(type='MultiGalleryBatchSampler', num_instances=16, batches_per_epoch=batches)
    assert all(part.batch_sampler == drawn for part in loader.batch_sampler.parts)
    load, resize, views = loader.dataset.pipeline
    assert load.type == 'LoadReIDImage' and (resize.scale, resize.interpolation) == ((144, 288), 'bicubic')
    erased = ['RandomCrop', 'RandomFlip', 'RedrawnErasing']
    expected = [erased, [*erased, 'ChannelExchange'], [*erased, 'AdaptiveGray']]
    assert list(map(types, [*views.visible, *views.infrared])) == expected
    hook = hook_of(cfg, 'PseudoLabelHook')
    assert hook['clustering'] == dict(type='JaccardDBSCAN', eps=eps, min_samples=4, k1=30, k2=6) and hook['mirror']
    assert cfg.model.head.memory == dict(type='ClusterMemory', temperature=0.05, momentum=0.1, rule='mean')
    assert cfg.model.backbone.norm_cfg == dict(type='mmreid.BranchBN2d', ghost_size=64) and cfg.model.flip_test
    assert cfg.optim_wrapper.optimizer == dict(type='Adam', lr=3.5e-4, weight_decay=5e-4)
    assert cfg.train_cfg.max_epochs == 50 and cfg.param_scheduler[0].step_size == 20


@pytest.mark.parametrize('data', QACONV)
def test_qaconv(data):
    cfg = config(f'qaconv-official_resnet50-ibnb_1xb64-60e_{data}-384x128')
    loader = cfg.train_dataloader
    assert loader.batch_size == 64 and loader.sampler == dict(type='DefaultSampler', shuffle=True)
    assert loader.batch_sampler == dict(type='QAConvReferenceSampler', num_instances=2)
    steps = {step.type: step for step in loader.dataset.pipeline}
    assert [*steps] == [
        'LoadReIDImage', 'Resize', 'RandomCrop', 'RandomFlip', 'NumpyToPIL', 'torchvision/RandomRotation',
        'torchvision/ColorJitter', 'PILToNumpy', 'RandomOcclusion', 'PackReIDInputs',
    ]  # fmt: skip
    assert steps['RandomCrop'].padding == 10 and steps['torchvision/RandomRotation'].degrees == 5
    jitter = steps['torchvision/ColorJitter']
    assert {jitter[name] for name in ('brightness', 'contrast', 'saturation')} == {(0.5, 2.0)} and jitter.hue == 0.1
    for part in ('model', 'matcher'):
        assert cfg.optim_wrapper[part].optimizer == dict(SGD, lr=5e-3)
        assert cfg.optim_wrapper[part].clip_grad == dict(max_norm=8.0)
    assert cfg.optim_wrapper.model.paramwise_cfg.custom_keys == dict(backbone=dict(lr_mult=0.1))
    assert cfg.optim_wrapper.matcher.modules == ['matcher'] and cfg.param_scheduler == []
    assert hook_of(cfg, 'AdaptiveScheduleHook') == dict(type='AdaptiveScheduleHook') and cfg.train_cfg.max_epochs == 60
    graph = hook_of(cfg, 'GraphSamplingHook')
    assert graph == dict(type='GraphSamplingHook', fp16=True, feature_dtype='float16')
    assert cfg.model.backbone_norm_eval and cfg.model.backbone.ibn == 'b' and cfg.model.neck.out_channels == 128
    assert cfg.model.data_preprocessor == dict(mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0))
    head: PairwiseHead = MODELS.build(dict(cfg.model.head, type='mmreid.PairwiseHead'))
    assert head.loss_score.margin == 16.0 and head.loss_score.mining == 'hardest'


@pytest.mark.parametrize('pair', ECN)
def test_ecn(pair):
    cfg = config(f'ecn-official_resnet50_1xb256-60e_{pair}-256x128')
    sampler = cfg.train_dataloader.batch_sampler
    assert [part.batch_size for part in sampler.parts] == [128, 128] and sampler.length_of == 0
    erasing = [] if pair.endswith('msmt') else ['RedrawnErasing']
    for dataset, load in zip(
        cfg.train_dataloader.dataset.datasets, ('LoadReIDImage', 'LoadCamStyleImage'), strict=True
    ):
        assert types(dataset.pipeline) == [load, 'UprightCrop', 'RandomFlip', *erasing, 'PackReIDInputs']
    assert cfg.optim_wrapper.optimizer == dict(SGD, lr=0.1)
    assert cfg.optim_wrapper.paramwise_cfg.custom_keys == dict(backbone=dict(lr_mult=0.1))
    assert cfg.train_cfg.max_epochs == 60 and cfg.param_scheduler[0].milestones == [40]
    assert hook_of(cfg, 'MemoryUpdateHook')['alpha'] == 0.01 and cfg.test_evaluator.ap == 'trapezoid'
    assert cfg.model.backbone.frozen_stages == 2 and cfg.model.live_shortcut_norms
    head: InvarianceHead = MODELS.build(dict(cfg.model.head, type='mmreid.InvarianceHead'))
    assert (head.temperature, head.target_weight, head.dropout.p, head.update_with) == (0.05, 0.3, 0.5, 'dropped')
    assert head.neighbors.k == 6 and head.invariance.neighbor_epoch == 5 and not head.invariance.normalize_targets
    assert head.invariance.exemplar and head.invariance.camera
