# Copyright (c) mmreid contributors. All rights reserved.
"""Learning rates of the CM-NAS and AGW configs and weight averaging of CM-NAS, against the official codes."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.model import ExponentialMovingAverage
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS
from torch import nn

from mmreid.engine import OverwritingEMAHook
from mmreid.utils.config import load_config

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def golden():
    return np.load(ROOT / 'tests' / 'data' / 'golden' / '03_cmnas_schedule_ema.npz')


def rates_of(config, groups):
    """Learning rates of the epochs, of each group of parameters."""
    cfg = load_config(str(ROOT / 'configs' / config))
    model = nn.ModuleDict({name: nn.Linear(1, 1, bias=False) for name in groups})
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    schedulers = [PARAM_SCHEDULERS.build(dict(config, optimizer=wrapper)) for config in cfg.param_scheduler]
    rates = []
    for _ in range(cfg.train_cfg.max_epochs):
        rates.append([group['lr'] for group in wrapper.param_groups if group['params']])
        wrapper.step()
        for scheduler in schedulers:
            scheduler.step()
    return rates


def test_learning_rates_of_all_epochs(golden):
    rates = rates_of('cmnas/cmnas-share_resnet50_1xb128-120e_sysu-256x128.py', ('backbone', 'neck', 'head'))
    np.testing.assert_allclose(rates, golden['lr_per_epoch'], rtol=1e-6)


@pytest.mark.parametrize('name', ['agw_resnet50_1xb64-81e', 'agw-caj_resnet50_1xb64-100e'])
def test_learning_rates_of_agw_and_caj(name):
    golden = np.load(ROOT / 'tests' / 'data' / 'golden' / '11_agw_caj_schedule.npz')
    rates = rates_of(f'agw/{name}_sysu-288x144.py', ('backbone', 'neck', 'head'))
    assert golden['base_lr'][0] == 0.1
    np.testing.assert_allclose(rates, golden['lr'][0][: len(rates)], rtol=1e-6)


def make_net():
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))


def test_averages_of_weights_and_statistics(golden):
    model = make_net()
    model.load_state_dict({key: torch.from_numpy(golden[f'ema_init/{key}']) for key in model.state_dict()})
    average = ExponentialMovingAverage(model, momentum=1 - float(golden['ema_decay']), update_buffers=True)
    average.update_parameters(model)  # the first call copies
    optimizer = torch.optim.SGD(model.parameters(), lr=float(golden['sgd_lr']))
    for inputs in torch.from_numpy(golden['ema_inputs']):
        optimizer.zero_grad()
        model(inputs).square().mean().backward()
        optimizer.step()
        average.update_parameters(model)
    for key, value in average.module.state_dict().items():
        if not value.dtype.is_floating_point:
            continue
        np.testing.assert_allclose(model.state_dict()[key], golden[f'model_final/{key}'], atol=1e-6)
        np.testing.assert_allclose(value, golden[f'ema_final/{key}'], atol=1e-6)


def test_the_hook_averages_from_the_initial_weights_on(golden):
    model = make_net()
    model.load_state_dict({key: torch.from_numpy(golden[f'ema_init/{key}']) for key in model.state_dict()})
    runner = SimpleNamespace(model=model, iter=0, epoch=0, max_iters=3, _resume=False)
    hook = OverwritingEMAHook(momentum=1 - float(golden['ema_decay']), update_buffers=True)
    hook.before_run(runner)
    hook.before_train(runner)
    optimizer = torch.optim.SGD(model.parameters(), lr=float(golden['sgd_lr']))
    for inputs in torch.from_numpy(golden['ema_inputs']):
        optimizer.zero_grad()
        model(inputs).square().mean().backward()
        optimizer.step()
        hook.after_train_iter(runner, 0)
    for key in ('0.weight', '0.bias', '1.weight', '1.bias', '1.running_mean', '1.running_var'):
        np.testing.assert_allclose(hook.ema_model.module.state_dict()[key], golden[f'ema_final/{key}'], atol=1e-6)


def test_the_trained_weights_are_validated_and_then_overwritten_as_in_the_official_code():
    cfg = load_config(str(ROOT / 'configs/cmnas/cmnas-official_resnet50_1xb128-120e_sysu-256x128.py'))
    options = next(dict(hook) for hook in cfg.custom_hooks if hook.type == 'OverwritingEMAHook')
    assert options.pop('type') and (cfg.train_cfg.val_interval, options['momentum']) == (2, 0.003)
    model = make_net()
    runner = SimpleNamespace(model=model, iter=0, epoch=0, max_iters=1, _resume=False)
    hook = OverwritingEMAHook(**options)
    hook.before_run(runner)
    hook.before_train(runner)
    start = model[0].weight.detach().clone()
    with torch.no_grad():
        model[0].weight += 1
    hook.after_train_iter(runner, 0)
    hook.before_val_epoch(runner)
    assert torch.equal(model[0].weight, start + 1), 'what was trained is validated'
    hook.after_val_epoch(runner)
    torch.testing.assert_close(model[0].weight.detach(), start + 0.003)


def test_overwriting_goes_on_from_the_average():
    torch.manual_seed(0)
    model = make_net()
    runner = SimpleNamespace(model=model, iter=0, epoch=0)
    hook = OverwritingEMAHook(momentum=0.5)
    hook.before_run(runner)
    hook.after_train_iter(runner, 0)
    start = model[0].weight.detach().clone()
    with torch.no_grad():
        model[0].weight += 1
    hook.after_train_iter(runner, 1)
    hook.before_val_epoch(runner)
    assert torch.allclose(model[0].weight, start + 0.5), 'the average is validated'
    hook.after_val_epoch(runner)
    assert torch.allclose(model[0].weight, start + 0.5), 'and trained on'
    assert torch.allclose(hook.ema_model.module[0].weight, start + 0.5)
