# Copyright (c) mmreid contributors. All rights reserved.
"""A training that is stopped says what is saved and how it goes on; several processes say so once."""

import os
import signal
import subprocess
import sys

import pytest
from test_tools.tool_runs import last_line, run, write_config
from tiny_config import ROOT
from tiny_data import write_market
from warm_processes import run_warm

from mmreid.engine.runners.stopped_run import go_on_command


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return write_market(tmp_path_factory.mktemp('data'))


def stopping_config(folder, data, **hook):
    """Six iterations an epoch with two workers, stopped in the second."""
    return write_config(
        folder / 'cfg.py',
        data,
        folder / 'run',
        custom_imports=dict(imports=['mmreid.registry', 'kill_hook']),
        custom_hooks=[dict(type='EpochSeedHook'), dict(type='KillHook', at_iter=9, **hook)],
    )


@pytest.mark.parametrize('tool', ['train.py', 'test.py'])
@pytest.mark.parametrize(('env', 'said'), [({}, 'stopped'), ({'MMREID_REPORTS': '1'}, ''), ({'RANK': '1'}, '')])
def test_stopped_while_it_imports_a_tool_says_one_line(tool, env, said, tmp_path):
    (tmp_path / 'torch.py').write_text("import time\nprint('importing', flush=True)\ntime.sleep(60)\n")
    clean = {name: value for name, value in os.environ.items() if name not in ('MMREID_REPORTS', 'RANK')}
    process = subprocess.Popen(
        [sys.executable, ROOT / 'tools' / tool, 'a.py'],
        env=clean | {'PYTHONPATH': str(tmp_path)} | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == 'importing\n'
    process.send_signal(signal.SIGINT)
    shown = process.communicate(timeout=30)[1]
    assert process.returncode == 130 and shown.strip() == said


@pytest.mark.slow
def test_a_stopped_training_says_how_it_goes_on(data, tmp_path):
    config = stopping_config(tmp_path, data, name='SIGINT')
    done = run_warm('tools/train.py', config, '--resume', '--cfg-options', 'log_level=INFO', check=False)
    assert done.returncode == 130 and 'Traceback' not in done.stdout, done.stdout
    sentence = last_line(done)
    assert sentence == (
        f'stopped in epoch 2 of 3, after iteration 8 of 18; the newest checkpoint is {tmp_path}/run/epoch_1.pth; '
        f'go on with: python tools/train.py {config} --cfg-options log_level=INFO --resume'
    )
    assert done.stdout.count('stopped in epoch') == 1
    (log,) = (tmp_path / 'run').glob('*/*.log')
    assert sentence in log.read_text()


@pytest.mark.long
def test_before_the_first_checkpoint_it_starts_again(data, tmp_path):
    config = stopping_config(tmp_path, data, name='SIGTERM')
    done = run_warm('tools/train.py', config, '--cfg-options', 'default_hooks.checkpoint.interval=3', check=False)
    assert done.returncode == 143
    assert 'nothing was saved yet; start again with: python tools/train.py' in last_line(done)
    assert '--resume' not in last_line(done)


@pytest.mark.long
@pytest.mark.dist
def test_several_processes_are_stopped_with_their_launcher(data, tmp_path):
    config = stopping_config(tmp_path, data, name='SIGINT', to_parent=True)
    done = run('tools/dist_train.sh', config, 2, '--no-validate', check=False)
    assert done.returncode == 130 and 'Traceback' not in done.stdout, done.stdout
    assert f'{tmp_path}/run/epoch_1.pth; go on with: bash tools/dist_train.sh {config} 2 --no-val' in last_line(done)
    assert done.stdout.count('stopped in epoch') == 1 and 'KeyboardInterrupt' not in done.stdout


@pytest.mark.long
@pytest.mark.dist
def test_several_processes_say_an_error_once_and_last(data, tmp_path):
    config = stopping_config(tmp_path, data, name='SIGINT')
    done = run('tools/dist_train.sh', config, 2, '--cfg-options', 'train_dataloader.dataset.data_root=no', check=False)
    assert done.returncode == 1 and 'Traceback' not in done.stdout
    assert done.stdout.count('error: ') == 1 and done.stdout.count('\n') <= 15, done.stdout
    assert 'MMREID_TRACEBACK' in last_line(done)
    usage = run('tools/dist_train.sh', config, 2, '--wrong', check=False)
    assert usage.returncode == 2 and usage.stdout.count('error: ') == 1
    assert last_line(usage).endswith('unrecognized arguments: --wrong')


WORK = """
import json, os, pathlib, sys, time
from mmreid.utils.one_line_errors import one_line_errors

mark = pathlib.Path(__file__ + '.shown')
with one_line_errors():
    if os.environ['RANK'] == '0':
        print('shown', flush=True)
        mark.touch()
        time.sleep(60)
    while not mark.exists():
        time.sleep(0.1)
    print('hidden', flush=True)
    os.kill(os.getpid(), 9) if 'kill' in sys.argv else json.loads('{')
"""


@pytest.mark.dist
@pytest.mark.slow
@pytest.mark.parametrize(('word', 'status', 'end'), [
    pytest.param('kill', 137, 'error: process 1 was ended by SIGKILL, which', marks=pytest.mark.long),
    ('bug', 1, 'json.decoder.JSONDecodeError: Expecting'),
])  # fmt: skip
def test_the_launcher_names_what_happened_on_another_rank(word, status, end, tmp_path):
    script = tmp_path / 'work.py'
    script.write_text(WORK)
    where = ('--standalone', '--nproc_per_node=2')
    done = run_warm('tools/launch.py', *where, script, word, check=False)
    assert done.returncode == status and last_line(done).startswith(end), done.stdout
    assert 'shown' in done.stdout and 'hidden' not in done.stdout
    assert done.stdout.count('Traceback') == (word == 'bug') and 'elastic' not in done.stdout


@pytest.mark.parametrize(
    ('words', 'command'),
    [
        ('a.py', 'python tools/train.py a.py --resume'),
        ('a.py --resume --amp', 'python tools/train.py a.py --amp --resume'),
        ('a.py --resume x.pth --work-dir w', 'python tools/train.py a.py --work-dir w --resume'),
        ('--resume=x.pth a.py', 'python tools/train.py a.py --resume'),
        ('a.py --launcher slurm', 'the same command and --resume'),
    ],
)
def test_commands_to_go_on(words, command, monkeypatch):
    monkeypatch.delenv('MMREID_REPORTS', raising=False)
    assert go_on_command(['tools/train.py', *words.split()], resume=True) == command


def test_commands_of_several_processes(monkeypatch):
    monkeypatch.setenv('MMREID_REPORTS', '1')
    monkeypatch.setenv('LOCAL_WORLD_SIZE', '4')
    words = ['tools/train.py', 'a.py', '--launcher', 'pytorch', '--amp', '--cfg-options', 'a=b c']
    assert go_on_command(words, resume=True) == "bash tools/dist_train.sh a.py 4 --amp --cfg-options 'a=b c' --resume"
    assert go_on_command(words, resume=False) == "bash tools/dist_train.sh a.py 4 --amp --cfg-options 'a=b c'"
