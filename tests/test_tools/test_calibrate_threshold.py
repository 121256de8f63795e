# Copyright (c) mmreid contributors. All rights reserved.
"""From a features file to a threshold and an image of the scores."""

import json

import pytest
import torch

from mmreid.apis import read_threshold
from mmreid.engine.features.saved_features import FORMAT

from .tool_modules import load_tool

TOOL = load_tool('analysis_tools/calibrate_threshold.py')
MODEL = dict(name='epoch_9.pth', hash='0123456789abcdef')


def side(role, pids, camids, features):
    return dict(
        feature=torch.tensor(features), pid=torch.tensor(pids), camid=torch.tensor(camids),
        sample_idx=[(role == 'gallery') * 10 + i for i in range(len(pids))], img_path=[f'{role}{i}' for i in pids],
    )  # fmt: skip


def write(folder, model=MODEL, names=('own',)):
    """Scores 0.8 and 0.8 of the same person, 0.6 and 0.6 of two."""
    query = side('query', [0, 1], [0, 0], [[1.0, 0.0], [0.0, 1.0]])
    gallery = side('gallery', [0, 1], [1, 1], [[0.8, 0.6], [0.6, 0.8]])
    sets = [dict(meta=dict(dataset_name=name), query=query, gallery=gallery) for name in names]
    content = dict(format=FORMAT, matcher=dict(config=dict(type='CosineMatcher'), state={}), test_sets=sets)
    torch.save(content if model is None else dict(content, model=model), folder / 'features.pth')
    return folder / 'features.pth'


def calibrate(folder, *words):
    TOOL.main([str(word) for word in (folder / 'features.pth', '--out', folder / 'threshold.json', *words)])
    return json.loads((folder / 'threshold.json').read_text())


def test_the_image_never_replaces_the_numbers(capsys):
    with pytest.raises(SystemExit):
        TOOL.parse_args(['features.pth', '--out', 't.png'])
    assert 't.png' in capsys.readouterr().err


def test_a_threshold_and_its_image(tmp_path, capsys):
    write(tmp_path)
    content = calibrate(tmp_path, '--fpr', 0.5, '--per-camera-pair')
    out = capsys.readouterr().out
    assert content['eer'] == 0 and content['threshold'] == pytest.approx(0.7) and content['model'] == MODEL
    assert (content['num_same'], content['num_different']) == (2, 2) and content['roc'][-1] == [1, 1]
    assert content['at_fpr'][0]['few_pairs'] and ' 1 of 2 ' in out and '100.00?' in out
    assert content['camera_pairs']['0-1']['at_eer']['threshold'] == pytest.approx(0.7)
    assert (tmp_path / 'threshold.png').read_bytes().startswith(b'\x89PNG')
    threshold = read_threshold(tmp_path / 'threshold.json')
    assert threshold.model_name == 'epoch_9.pth' and threshold.decide(0.71).same and not threshold.decide(0.69).same
    with pytest.raises(FileExistsError, match='threshold.json'):
        calibrate(tmp_path)
    assert calibrate(tmp_path, '--force', '--at', 0.5)['chosen'] == dict(
        at=0.5, threshold=pytest.approx(0.7), fpr=0, tpr=1
    )


def test_one_of_several_test_sets(tmp_path):
    write(tmp_path, names=('market1501', 'own'))
    for words in ([], ['--test-set', 'msmt17']):
        with pytest.raises(ValueError, match='market1501, own'):
            calibrate(tmp_path, *words)
    assert calibrate(tmp_path, '--test-set', 'own')['test_set'] == 'own'


@pytest.mark.parametrize(
    'model', [None, 'x', dict(name='x'), dict(name='x', hash='../x'), dict(name='\x1b', hash='0' * 16)]
)
def test_features_of_an_unknown_model(tmp_path, model):
    write(tmp_path, model)
    with pytest.raises(ValueError, match='features.pth'):
        calibrate(tmp_path)
    assert not (tmp_path / 'threshold.json').exists()


@pytest.mark.parametrize('value', ['0', '1', 'x', '-0.1'])
def test_a_rate_out_of_range(tmp_path, value, capsys):
    with pytest.raises(SystemExit):
        calibrate(tmp_path, '--fpr', value)
    assert repr(value) in capsys.readouterr().err
