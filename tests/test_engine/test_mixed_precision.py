# Copyright (c) mmreid contributors. All rights reserved.
"""Each family trains in bfloat16, on the CPU too, and learns about what it learns in float32."""

import pytest
import torch
from mmengine.optim import OptimWrapperDict
from short_runs import shorten
from test_configs import data_of, market  # noqa: F401
from tiny_config import tiny_config

from mmreid.engine.optimizers import AmpOptimWrapper
from mmreid.registry import RUNNERS

FAMILIES = [
    'baseline/bot_resnet50_1xb64-120e_market1501-256x128.py',
    'cmnas/cmnas-split_resnet50_1xb128-120e_sysu-256x128.py',
    'cmnas/cmnas-search-gradient_resnet18_1xb64-40e_procedural-64x32.py',
    'gs/qaconv-gs_resnet50-ibnb_1xb64-60e_market1501-384x128.py',
    'ecn/ecnpp_resnet50_1xb256-60e_msmt2market-256x128.py',
]


def first_loss(name, root_of, work_dir, **options):
    """Trains a shrunk config for an epoch of one batch; gives the loss, and whether all weights are finite."""
    cfg = tiny_config(name, root_of, work_dir)
    shorten(cfg, batches=1)
    cfg.default_hooks.checkpoint.interval = -1
    cfg.merge_from_dict(options)
    runner = RUNNERS.get(cfg.runner_type).from_cfg(cfg)
    runner.train()
    wrapper = runner.optim_wrapper
    wrappers = wrapper.values() if isinstance(wrapper, OptimWrapperDict) else [wrapper]
    assert all(isinstance(wrapper, AmpOptimWrapper) == bool(options) for wrapper in wrappers)
    assert all(value.isfinite().all() for value in runner.model.state_dict().values())
    return runner.message_hub.get_scalar('train/loss').data[0][0]


@pytest.mark.parametrize('name', FAMILIES)
def test_a_step_in_bfloat16_has_nearly_the_loss_of_float32(name, data_of, tmp_path):  # noqa: F811
    torch.manual_seed(0)
    exact = first_loss(name, data_of, tmp_path / 'full')
    half = first_loss(name, data_of, tmp_path / 'half', **{'optim_wrapper.type': 'AmpOptimWrapper'})
    assert half != exact and half == pytest.approx(exact, rel=0.05, abs=0.05)
