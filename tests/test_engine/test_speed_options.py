# Copyright (c) mmreid contributors. All rights reserved.
"""Options that make training faster or lighter are one line of config, and change nothing else."""

import copy

import pytest
import torch
from tiny_config import tiny_config
from tiny_data import write_market
from torch._dynamo.utils import counters

from mmreid.engine import ReIDRunner
from mmreid.engine.optimizers import AmpOptimWrapper

CONFIG = 'baseline/quickstart_resnet18_1xb64-25e_procedural-64x32.py'
EMA = dict(type='EMAHook', momentum=0.5)


@pytest.fixture(scope='module')
def market(tmp_path_factory):
    return write_market(tmp_path_factory.mktemp('market'))


def build(market, work_dir, epochs=2, hooks=(), **options):
    cfg = tiny_config(CONFIG, market, work_dir)
    # With fewer channels, a 1x1 convolution with stride 2 in channels-last layout overwrites memory (torch 2.15, CPU).
    cfg.model.backbone.base_channels = 16
    cfg.model.neck.in_channels = cfg.model.head.in_channels = 128
    cfg.train_cfg.update(max_epochs=epochs, val_interval=epochs)
    cfg.custom_hooks = [*cfg.custom_hooks, *hooks]
    cfg.merge_from_dict(options)
    return ReIDRunner.from_cfg(cfg)


def weights(runner):
    return {name: value.clone() for name, value in runner.model.state_dict().items()}


def assert_same(first, second, rtol=1e-4, atol=1e-5):
    assert list(first) == list(second)
    for name in first:
        torch.testing.assert_close(first[name], second[name], rtol=rtol, atol=atol)


@pytest.fixture(scope='module')
def plain(market, tmp_path_factory):
    runner = build(market, tmp_path_factory.mktemp('plain'))
    runner.train()
    return weights(runner)


@pytest.mark.parametrize('hooks', [[], [EMA]], ids=['channels last', 'averaged as well'])
def test_options_learn_the_same(market, plain, tmp_path, hooks):
    runner = build(market, tmp_path, hooks=hooks, channels_last=True)
    runner.train()
    assert_same(weights(runner), plain)


def test_channels_last_reaches_weights_and_maps(market, tmp_path):
    runner = build(market, tmp_path, epochs=1, channels_last=True)
    maps = []
    runner.model.backbone.layer1.register_forward_hook(lambda module, inputs, output: maps.append(output))
    runner.train()
    runner.test()
    assert all(each.is_contiguous(memory_format=torch.channels_last) for each in maps) and maps
    assert runner.model.backbone.layer1[0].conv1.weight.is_contiguous(memory_format=torch.channels_last)


def test_channels_last_needs_a_backbone(market, tmp_path):
    pixels = dict(_delete_=True, type='PixelReID', size=(8, 4))
    with pytest.raises(AttributeError, match='PixelReID .*channels_last=True'):
        build(market, tmp_path, channels_last=True, model=pixels)
    with pytest.raises(TypeError, match="channels_last='no' "):
        build(market, tmp_path, channels_last='no')


def test_mixed_precision_computes_in_half_and_learns_in_full(market, tmp_path):
    runner = build(market, tmp_path, epochs=1, **{'optim_wrapper.type': 'AmpOptimWrapper'})
    dtypes = set()
    runner.model.backbone.conv1.register_forward_hook(lambda module, inputs, output: dtypes.add(output.dtype))
    runner.train()
    assert isinstance(runner.optim_wrapper, AmpOptimWrapper)
    assert torch.bfloat16 in dtypes
    assert {each.dtype for each in runner.model.parameters()} == {torch.float32}
    resumed = build(market, tmp_path, epochs=2, resume=True, **{'optim_wrapper.type': 'AmpOptimWrapper'})
    resumed.train()
    assert resumed.epoch == 2


@pytest.mark.long
def test_the_compiled_step_learns_the_same(market, tmp_path):
    # SGD, as Adam makes steps of rounding errors. The backend 'eager' traces the step as every other does, but runs
    # it without a C++ compiler.
    sgd = {'optim_wrapper.optimizer': dict(_delete_=True, type='SGD', lr=0.05)}

    def trained(**options):
        runner = build(market, tmp_path / f'{len(options)}', epochs=1, **copy.deepcopy(sgd), **options)
        runner.train()
        return weights(runner)

    plain = trained()
    counters.clear()
    compiled = trained(compile=dict(backend='eager'))
    assert counters['frames']['ok'] > 1
    assert_same(compiled, plain)


def test_accumulation_steps_once_for_several_batches(market, tmp_path):
    runner = build(market, tmp_path, epochs=1, **{'optim_wrapper.accumulative_counts': 2})
    runner.model.train()
    loader = iter(runner.build_dataloader(runner.cfg.train_dataloader))
    wrapper = runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    wrapper.initialize_count_status(runner.model, 0, 4)
    moved = []
    for _ in range(4):
        before = runner.model.backbone.conv1.weight.clone()
        try:
            batch = next(loader)
        except StopIteration:
            loader = iter(runner.build_dataloader(runner.cfg.train_dataloader))
            batch = next(loader)
        runner.model.train_step(batch, wrapper)
        moved.append(not torch.equal(before, runner.model.backbone.conv1.weight))
    assert moved == [False, True, False, True]


def test_the_average_is_tested_and_saved_beside_the_weights(market, tmp_path):
    runner = build(market, tmp_path, hooks=[EMA])
    runner.train()
    content = torch.load(tmp_path / 'epoch_2.pth', weights_only=True)
    # EMAHook saves the average as the weights to test, and the trained weights beside it.
    assert not torch.equal(content['state_dict']['backbone.conv1.weight'], weights(runner)['backbone.conv1.weight'])
    assert torch.equal(
        content['ema_state_dict']['module.backbone.conv1.weight'], weights(runner)['backbone.conv1.weight']
    )
