# Copyright (c) mmreid contributors. All rights reserved.
"""Several trials in one command."""

import json

import pytest
import torch
from test_tools.test_search_and_retrain import shrunk
from test_tools.tool_modules import load_tool
from test_tools.tool_runs import run
from tiny_config import ROOT
from warm_processes import run_warm

from mmreid.datasets.synthetic import RegDBPlan, write_dataset

CONFIG = """
_base_ = [
    '{base}/models/cmnas_resnet50.py', '{base}/datasets/regdb.py', '{base}/schedules/cmnas_120e.py',
    '{base}/default_runtime.py',
]
"""


@pytest.mark.long
@pytest.mark.slow
def test_trials_are_trained_tested_averaged_and_not_repeated(tmp_path):
    data = tmp_path / 'regdb'
    plan = RegDBPlan(ids=12, images_per_camera=4)
    write_dataset(data, plan.make_world(seed=0, size=(64, 32)), plan)
    command = [*shrunk(tmp_path, CONFIG, 'trials', data, ''), 'train_cfg.max_epochs=1', 'train_cfg.val_interval=5']
    command[1:1] = [command[0], '--trials', '2,4', '--work-dir', tmp_path / 'runs']  # two stages, for once alike
    table = run('tools/run_trials.py', *command).stdout
    results = {trial: json.loads((tmp_path / f'runs/trial{trial}/results.json').read_text()) for trial in (2, 4)}
    assert results[2] != results[4], 'other people are tested'
    for trial in (2, 4):
        start, end = (next((tmp_path / f'runs/trial{trial}' / stage).glob('*.pth')) for stage in ('stage1', '.'))
        assert f'the training starts from {start}' in table
        first, second = (torch.load(path, weights_only=True)['state_dict'] for path in (start, end))
        assert any(not torch.equal(first[name], second[name]) for name in first)
    row = next(line for line in table.splitlines() if line.startswith('| regdb/v2t/mAP'))
    two, four, mean, _ = (float(cell) for cell in row.split('|')[2:-1])
    assert (two, four) == tuple(round(results[trial]['regdb/v2t/mAP'], 2) for trial in (2, 4))
    assert mean == pytest.approx((two + four) / 2, abs=0.006)
    again = run('tools/run_trials.py', *command).stdout
    assert row in again and 'Epoch(train)' not in again
    other = run('tools/run_trials.py', *command, 'train_cfg.max_epochs=2', check=False)
    assert other.returncode == 1 and '(options of' in other.stdout


def test_each_stage_starts_from_the_end_of_the_one_before(tmp_path, monkeypatch):
    """What is run for a trial of two stages, with and without a stop in between."""
    tool, calls = load_tool('run_trials.py'), []

    def run_tool(name, config, *arguments):
        options = dict(word.split('=') for word in arguments[arguments.index('--cfg-options') + 1 :])
        start = str(arguments[0]) if name == 'test.py' else config
        calls.append((name, start, options.get('load_from'), options['train_dataloader.dataset.trial']))
        if name == 'test.py':
            (tmp_path / 'trial2/results.json').write_text('{"mAP": 30.0}')
        elif len(calls) == 2:
            raise RuntimeError('stopped')

    monkeypatch.setattr(tool, '_run', run_tool)
    monkeypatch.setattr(tool, 'find_resumable_checkpoint', lambda folder: folder / 'end.pth')
    (tmp_path / 'trial2').mkdir()
    configs = [
        str(ROOT / f'configs/adca/{name}_resnet50_1xb384-50e_regdb-288x144.py') for name in ('adca-stage1', 'adca')
    ]
    with pytest.raises(RuntimeError, match='stopped'):
        tool.run_trial(configs, 2, tmp_path / 'trial2', [])
    assert tool.run_trial(configs, 2, tmp_path / 'trial2', []) == {'mAP': 30.0}
    first, second = (
        ('train.py', configs[0], None, '2'),
        ('train.py', configs[1], str(tmp_path / 'trial2/stage1/end.pth'), '2'),
    )
    tested = ('test.py', str(tmp_path / 'trial2/end.pth'), None, '2')
    assert calls == [first, second, first, second, tested]


def test_a_config_may_have_no_validation_but_its_test_must_have_trials(tmp_path):
    tool, config = load_tool('run_trials.py'), tmp_path / 'config.py'
    text = f"_base_ = ['{ROOT}/configs/cmnas/cmnas-share_resnet50_1xb128-120e_regdb-256x128.py']\n"
    config.write_text(text + 'val_dataloader = val_evaluator = val_cfg = None\n')
    assert tool.trial_keys(str(config)) == ['train_dataloader.dataset.trial', 'test_dataloader.dataset.trial']
    config.write_text(text + 'test_dataloader = [_base_.test_dataloader]\n')
    with pytest.raises(ValueError, match="test_dataloader.dataset .*'trial'"):
        tool.trial_keys(str(config))


def test_options_of_several_flags_are_all_used(tmp_path, monkeypatch):
    tool, seen = load_tool('run_trials.py'), []
    config = str(ROOT / 'configs/cmnas/cmnas-share_resnet50_1xb128-120e_regdb-256x128.py')
    words = ['--cfg-options', 'train_cfg.max_epochs=1', '--cfg-options', 'randomness.seed=3']
    monkeypatch.setattr(tool, 'run_trial', lambda configs, trial, folder, options: seen.append(options) or {'mAP': 1.0})
    monkeypatch.setattr('sys.argv', ['run_trials.py', config, '--trials', '1', '--work-dir', str(tmp_path), *words])
    tool.main()
    assert seen == [['train_cfg.max_epochs=1', 'randomness.seed=3']]


def test_trials_are_numbers_and_ranges():
    tool = load_tool('run_trials.py')
    assert tool.parse_trials('1-3,7') == [1, 2, 3, 7]
    with pytest.raises(ValueError, match="--trials 1,x: .*'x'"):
        tool.parse_trials('1,x')


def test_another_architecture_of_the_same_name_is_refused(tmp_path):
    tool = load_tool('run_trials.py')
    arch, config = tmp_path / 'arch.json', tmp_path / 'config.py'
    config.write_text(f"model = dict(arch='{arch}')")
    arch.write_text('found')
    tool.check_recipe([str(config)], [], tmp_path / 'runs')
    tool.check_recipe([str(config)], [], tmp_path / 'runs')
    arch.write_text('found by another search')
    with pytest.raises(ValueError, match='runs .*.arch of'):
        tool.check_recipe([str(config)], [], tmp_path / 'runs')


def test_a_trial_that_does_not_exist_is_refused_before_the_first_is_trained(tmp_path):
    config = ROOT / 'configs/cmnas/cmnas-share_resnet50_1xb128-120e_regdb-256x128.py'
    done = run_warm('tools/run_trials.py', config, '--trials', '9-11', '--work-dir', tmp_path / 'runs', check=False)
    assert done.returncode == 1 and 'trial=11 of RegDB' in done.stdout
    assert not (tmp_path / 'runs').exists()


def test_a_data_set_without_trials_is_refused():
    config = ROOT / 'configs/cmnas/cmnas-share_resnet50_1xb128-120e_sysu-256x128.py'
    done = run_warm('tools/run_trials.py', config, check=False)
    assert done.returncode and "'trial'" in done.stdout and 'Traceback' not in done.stdout
