# Copyright (c) mmreid contributors. All rights reserved.
"""Features in a file, evaluated again without a network; and the flags of tools/test.py around it."""

import json
import shutil
import sys

import pytest
import torch
from test_tools.tool_modules import load_tool
from test_tools.tool_runs import last_line, write_config
from tiny_config import ROOT
from tiny_data import repaint, write_market
from warm_processes import run_warm

from mmreid.utils.config import load_config

NAME = str(ROOT / 'configs/baseline/bot_resnet50_1xb64-120e_market1501-256x128.py')


@pytest.mark.slow
def test_saved_features_give_the_same_table(tmp_path):
    data = repaint(write_market(tmp_path / 'data', num_test=5, cameras=3))
    config = write_config(tmp_path / 'cfg.py', data, tmp_path / 'run')
    features = tmp_path / 'features.pth'
    first, again = tmp_path / 'first.json', tmp_path / 'again.json'
    steps = ['--qe', '--rerank', '--cfg-options', 'test_evaluator.post.1.k1=5']
    report = ['--report', tmp_path / 'report']
    done = run_warm(
        'tools/test.py', config, 'none', '--tta', '--save-features', features, '--out', first, *report, *steps
    )
    (test_set,) = torch.load(features, weights_only=True)['test_sets']
    assert len(test_set['query']['feature']) == 15 and len(test_set['gallery']['img_path']) == 45
    shutil.rmtree(data)
    # Only the evaluator is read from the config; one without a model or data is enough.
    (tmp_path / 'metric.py').write_text("test_evaluator = dict(type='ReIDMetric')\n")
    shown = run_warm('tools/test.py', tmp_path / 'metric.py', '--features', features, '--out', again, *steps).stdout
    values = json.loads(first.read_text())
    assert f'[{values["market1501/mAP"]!r}]' in (tmp_path / 'report/index.html').read_text()
    assert json.loads(again.read_text()) == values
    assert values['market1501/mAP'] != values['market1501+qe+rerank/mAP'] and 0 < values['market1501/mAP'] < 100
    rows = [[line for line in text.splitlines() if line.startswith('| market1501')] for text in (done.stdout, shown)]
    assert rows[0] == rows[1] and len(rows[0]) == 2
    assert not [path for path in tmp_path.rglob('*') if path.suffix == '.tmp']

    other = run_warm('tools/test.py', config, '--features', config, check=False)
    assert other.returncode and f'error: {str(config)!r}' in other.stdout
    truncated = tmp_path / 'half.pth'
    truncated.write_bytes(features.read_bytes()[:2000])
    done = run_warm('tools/test.py', config, '--features', truncated, check=False)
    assert done.returncode and f'error: Checkpoint {str(truncated)!r}' in done.stdout, last_line(done)


def merged(monkeypatch, *arguments):
    tool = load_tool('test.py')
    monkeypatch.setattr(sys, 'argv', ['test.py', *map(str, arguments)])
    args = tool.parse_args()
    return tool.merge_args(load_config(args.config, tool.early_options(args)), args)


@pytest.mark.parametrize('words', [['--tta', NAME, 'none'], [NAME, 'none', '--tta'], [NAME, 'none', '--tta', 'flip']])
def test_flip_test_is_a_flag_or_named(words, monkeypatch):
    assert merged(monkeypatch, *words).model.flip_test


def test_post_processing_flags_reach_every_re_id_metric(monkeypatch):
    qe, rerank = dict(type='QueryExpansion'), dict(type='KReciprocalRerank')
    assert 'post' not in merged(monkeypatch, NAME, 'none').test_evaluator
    assert merged(monkeypatch, NAME, 'none', '--rerank', '--qe').test_evaluator.post == [qe, rerank]
    tool = load_tool('test.py')
    evaluators = load_config(NAME, {'test_evaluator': [dict(type='SYSUMetric', post=[qe]), dict(type='Accuracy')]})
    tool.add_post(evaluators.test_evaluator, [rerank])
    assert evaluators.test_evaluator[0].post == [qe, rerank] and 'post' not in evaluators.test_evaluator[1]


def test_steps_that_flags_add_take_options(monkeypatch):
    words = [NAME, 'none', '--qe', '--rerank', '--cfg-options', 'test_evaluator.post.1.k1=5']
    steps = merged(monkeypatch, *words).test_evaluator.post
    assert steps == [dict(type='QueryExpansion'), dict(type='KReciprocalRerank', k1=5)]
    assert merged(monkeypatch, NAME, 'none', '--rerank').test_evaluator.post == [dict(type='KReciprocalRerank')]
    with pytest.raises(ValueError, match="test_evaluator.post.1.k1: .* 1, .* 0..0, .*'1'"):
        merged(monkeypatch, NAME, 'none', '--rerank', '--cfg-options', 'test_evaluator.post.1.k1=5')


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['none', '--cfg-options', "test_evaluator.post=[dict(type='QueryExpansion', k=5)]"], 'but no dict'),
        ([], 'give a CHECKPOINT to test'),
        (['a.pth', '--features', 'b.pth'], 'and not both'),
        (['--features', 'b.pth', '--tta'], '--tta needs a model'),
        (['--features', 'b.pth', '--show-dir', 'x'], '--show-dir needs a model'),
        (['--features', 'b.pth', '--launcher', 'pytorch'], '--launcher needs a model'),
    ],
)
def test_flags_that_do_not_go_together(words, message, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        merged(monkeypatch, NAME, *words)
    assert message in capsys.readouterr().err
