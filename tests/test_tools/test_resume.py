# Copyright (c) mmreid contributors. All rights reserved.
"""A run that was killed and resumed ends bit for bit like one that was not."""

import signal

import pytest
import torch
from test_tools.tool_runs import DROPOUT, run, write_config
from tiny_data import write_market
from warm_processes import run_warm

# What two runs of the same training may differ in: clocks, folders and the texts that name them.
DIFFERENT = {'time', 'cfg', 'run_id', 'experiment_name', 'exp_name', 'last_ckpt', 'best_ckpt', 'eta'}
DIFFERENT |= {'train/time', 'train/data_time', 'train/memory', 'val/time', 'val/data_time'}


def assert_same(a, b, path='checkpoint'):
    """Compares two checkpoints bit for bit, times and names of runs aside."""
    assert type(a) is type(b), path
    if isinstance(a, dict):
        assert a.keys() == b.keys(), path
        for key in a:
            if key not in DIFFERENT:
                assert_same(a[key], b[key], f'{path}.{key}')
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), path
        for index, pair in enumerate(zip(a, b, strict=True)):
            assert_same(*pair, f'{path}[{index}]')
    elif isinstance(a, torch.Tensor):
        assert torch.equal(a, b), path
    elif hasattr(a, 'data') and hasattr(a, 'current'):  # MMEngine's HistoryBuffer
        assert a.data[0].tolist() == b.data[0].tolist(), path
    else:
        assert a == b, path


@pytest.mark.slow
def test_killed_and_resumed_equals_uninterrupted(tmp_path):
    data = write_market(tmp_path / 'data')
    whole = write_config(tmp_path / 'whole.py', data, tmp_path / 'whole', model=DROPOUT)
    run('tools/train.py', whole)

    killed = write_config(
        tmp_path / 'killed.py',
        data,
        tmp_path / 'parts',
        model=DROPOUT,
        custom_imports=dict(imports=['mmreid.registry', 'kill_hook']),
        custom_hooks=[dict(type='EpochSeedHook'), dict(type='KillHook', at_iter=15)],
    )
    assert run('tools/train.py', killed, check=False).returncode == -signal.SIGKILL
    assert (tmp_path / 'parts/epoch_2.pth').is_file() and not (tmp_path / 'parts/epoch_3.pth').exists()

    resumed = write_config(tmp_path / 'resumed.py', data, tmp_path / 'parts', model=DROPOUT)
    log = run('tools/train.py', resumed, '--resume').stdout
    assert 'resumed epoch: 2, iter: 12' in log and 'entries loaded' in log

    expected = torch.load(tmp_path / 'whole/epoch_3.pth', weights_only=True)
    actual = torch.load(tmp_path / 'parts/epoch_3.pth', weights_only=True)
    assert_same(actual, expected)

    # From an earlier epoch, named on the command line, into a third folder; with the run's seed, whatever the config
    # says now.
    other_seed = ['--cfg-options', 'randomness.seed=7']
    first = tmp_path / 'whole/epoch_1.pth'
    run_warm('tools/train.py', resumed, '--resume', first, '--work-dir', tmp_path / 'again', *other_seed)
    # Epoch 1 lies in the first folder, so it is not one that the third may remove.
    expected['message_hub']['runtime_info']['keep_ckpt_ids'] = [2, 3]
    assert_same(torch.load(tmp_path / 'again/epoch_3.pth', weights_only=True), expected)
