# Copyright (c) mmreid contributors. All rights reserved.
"""The camera-style network on two gloo processes against one."""

import pytest
import torch
from test_dist.camstyle_rank_work import everything
from test_tools.camstyle_runs import write_camstyle
from test_tools.test_resume import assert_same
from tiny_data import write_market
from warm_processes import run_ranks

pytestmark = [pytest.mark.dist, pytest.mark.slow]


@pytest.fixture(scope='module')
def two(tmp_path_factory):
    out = tmp_path_factory.mktemp('ranks') / 'out.pth'
    run_ranks(2, 'tests/test_dist/camstyle_rank_work.py', out)
    return torch.load(out, weights_only=True)


def test_steps_equal_those_of_one_process(two):
    assert two['replicas_equal']
    for name, value in everything().items():
        torch.testing.assert_close(two['weights'][name], value, rtol=1e-5, atol=1e-5, msg=name)


def test_weights_of_wrapped_networks_have_plain_names(two):
    assert not [name for name in two['weights'] if 'module' in name] and two['misfits'] == []


def test_dist_train_resumes_bitwise(tmp_path):
    data = write_market(tmp_path / 'data', cameras=2)
    config = write_camstyle(tmp_path / 'cfg.py', data, tmp_path / 'run', train_dataloader=dict(batch_size=2))
    run_ranks(2, 'tools/train.py', config, '--launcher', 'pytorch')
    (tmp_path / 'again').mkdir()
    resume = ['--resume', tmp_path / 'run/epoch_2.pth', '--work-dir', tmp_path / 'again']
    assert (
        'resumed epoch: 2, iter: 8' in run_ranks(2, 'tools/train.py', config, '--launcher', 'pytorch', *resume).stdout
    )
    files = [torch.load(tmp_path / folder / 'epoch_3.pth', weights_only=True) for folder in ('run', 'again')]
    files[0]['message_hub']['runtime_info']['keep_ckpt_ids'] = [3]  # the other folder never had the others
    assert_same(*files)
    assert not [name for name in files[0]['state_dict'] if 'module' in name]
