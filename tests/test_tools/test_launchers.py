# Copyright (c) mmreid contributors. All rights reserved.
"""Starting several processes: what torchrun and Slurm are asked for, and how the scripts say that they are used."""

import os
import subprocess
import sys

import pytest
from test_tools.tool_modules import load_tool
from test_tools.tool_runs import run
from tiny_config import ROOT


def test_scripts_say_how_they_are_used():
    for script, words in (
        ('dist_train.sh', 'CONFIG GPUS'),
        ('dist_test.sh', 'CONFIG CHECKPOINT GPUS'),
        ('slurm_train.sh', 'PARTITION JOB_NAME CONFIG WORK_DIR'),
        ('slurm_test.sh', 'PARTITION JOB_NAME CONFIG CHECKPOINT'),
    ):
        done = run(f'tools/{script}', check=False)
        assert done.returncode == 2 and words in done.stdout
    done = run('tools/dist_train.sh', 'a.py', '--work-dir', check=False)
    assert done.returncode == 2 and "GPUS='--work-dir'" in done.stdout


@pytest.mark.parametrize(
    ('script', 'words', 'started'),
    [
        (
            'train',
            ['part', 'job', 'a.py', 'runs', '--resume'],
            ['a.py', '--work-dir=runs', '--launcher=slurm', '--resume'],
        ),
        ('test', ['part', 'job', 'a.py', 'a.pth', '--tta'], ['a.py', 'a.pth', '--launcher=slurm', '--tta']),
    ],
)
def test_what_slurm_is_asked_for(tmp_path, script, words, started):
    (tmp_path / 'srun').write_text('#!/bin/bash\nprintf "%s\\n" "$@"\n')
    (tmp_path / 'srun').chmod(0o755)
    extra = dict(GPUS='16', GPUS_PER_NODE='4', SRUN_ARGS='--qos=high --mem=9G', PYTHON='py')
    environment = {**os.environ, **extra, 'PATH': f'{tmp_path}:{os.environ["PATH"]}'}
    command = ['bash', str(ROOT / f'tools/slurm_{script}.sh'), *words]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split('\n')[:-1]
    place = told.index('py')
    assert told[:2] == ['-p', 'part'] and told[place + 1] == '-u' and told[place + 3 :] == started
    assert told[place + 2].endswith(f'tools/{script}.py')
    assert {'--gres=gpu:4', '--ntasks=16', '--ntasks-per-node=4', '--qos=high', '--mem=9G'} <= set(told[:place])


@pytest.mark.parametrize(
    ('given', 'where'),
    [
        ({}, ['--standalone']),
        (dict(PORT='1234'), ['--nnodes=1', '--node_rank=0', '--master_addr=127.0.0.1', '--master_port=1234']),
        (
            dict(NNODES='2', NODE_RANK='1', MASTER_ADDR='10.0.0.1'),
            ['--nnodes=2', '--node_rank=1', '--master_addr=10.0.0.1', '--master_port=29500'],
        ),
    ],
)
def test_where_processes_of_several_machines_meet(tmp_path, given, where):
    (tmp_path / 'py').write_text('#!/bin/bash\nprintf "%s\\n" "$OMP_NUM_THREADS" "$@"\n')
    (tmp_path / 'py').chmod(0o755)
    clean = {name: value for name, value in os.environ.items() if name not in ('NNODES', 'PORT', 'OMP_NUM_THREADS')}
    command = ['bash', str(ROOT / 'tools/dist_train.sh'), 'a.py', '8', '--amp']
    environment = dict(clean, PYTHON=str(tmp_path / 'py'), **given)
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split('\n')[:-1]
    assert told[0] == '1' and told[1].endswith('tools/launch.py') and told[2 : 2 + len(where)] == where
    assert told[2 + len(where)] == '--nproc_per_node=8' and told[-4:] == ['a.py', '--launcher', 'pytorch', '--amp']


@pytest.mark.parametrize(('asked', 'redirected'), [('1', '0'), ('3', '1:3,2:3'), ('auto', None)])
def test_processes_may_be_counted_as_torchrun_counts_them(monkeypatch, asked, redirected):
    from torch.distributed import run as torchrun

    seen = []
    monkeypatch.setattr('logging.disable', lambda level: None)  # what a process of its own may do
    monkeypatch.setenv('MMREID_REPORTS', '0')
    monkeypatch.setattr(torchrun, 'run', seen.append)
    monkeypatch.setattr(torchrun, 'determine_local_world_size', lambda text: 2 if text == 'auto' else int(text))
    monkeypatch.setattr(sys, 'argv', ['launch.py', '--standalone', f'--nproc_per_node={asked}', 'tool.py'])
    assert load_tool('launch.py').main() == 0
    assert seen[0].redirects == (redirected or '1:3')
