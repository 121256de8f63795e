# Copyright (c) mmreid contributors. All rights reserved.
"""A features file is hostile data: whatever it holds, it is read, or refused in one sentence that names the file."""

import copy
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from test_tools.tool_modules import load_tool

from mmreid.engine.features.saved_features import FORMAT, evaluate_features, save_features
from mmreid.models.matchers import CosineMatcher, QAConvMatcher

METRIC = dict(type='ReIDMetric')


def side(first, count=4, shape=(3,)):
    pids = torch.arange(count) % 2
    return dict(
        pid=pids,
        camid=torch.full((count,), first),
        timestamp=torch.zeros(count, dtype=torch.float64),
        sample_idx=list(range(10 * first, 10 * first + count)),
        img_path=[f'{first}-{i}.jpg' for i in range(count)],
        modality=[None] * count,
        feature=torch.nn.functional.one_hot(pids, shape[0]).float().reshape(count, *shape),
    )


def content(**matcher):
    matcher = matcher or dict(config=dict(type='CosineMatcher'), state={})
    test_set = dict(meta=dict(dataset_name='tiny'), query=side(0), gallery=side(1))
    return dict(format=FORMAT, matcher=matcher, test_sets=[test_set])


def put(path, value):
    """Changes one entry of a good file, given by its path."""
    *parents, last = path
    changed = entry = content()
    for key in parents:
        entry = entry[key]
    entry[last] = value
    return changed


def evaluate(tmp_path, saved):
    torch.save(saved, tmp_path / 'x.pth')
    return evaluate_features(tmp_path / 'x.pth', copy.deepcopy(METRIC))[0]


def test_a_good_file_is_read(tmp_path):
    assert evaluate(tmp_path, content())['tiny/mAP'] == 100
    assert (
        evaluate(tmp_path, content(config=dict(type='mmreid.CosineMatcher', init_cfg=None), state={}))['tiny/mAP']
        == 100
    )


def test_a_matcher_with_arguments_and_weights_is_read(tmp_path):
    matcher = QAConvMatcher(size=(1, 1), symmetric=True)
    saved = content(config=dict(type='QAConvMatcher', size=[1, 1], symmetric=True), state=matcher.state_dict())
    for name in ('query', 'gallery'):
        saved['test_sets'][0][name]['feature'] = saved['test_sets'][0][name]['feature'][..., None, None]
    assert evaluate(tmp_path, saved)['tiny/mAP'] == 100


@pytest.mark.parametrize(
    'config',
    [
        dict(type='subprocess.Popen', args='touch {ran}', shell=True),
        dict(type=subprocess.Popen.__name__, args='touch {ran}', shell=True),
        dict(type='os.system', command='touch {ran}'),
        dict(type='builtins.exec'),
        dict(type='torch.nn.Linear', in_features=1, out_features=1),
        dict(type='mmpretrain.ResNet', depth=50),
        dict(type='mmreid.mmreid.CosineMatcher'),
        dict(type='ImageReID', backbone=dict(type='ResNet')),
        dict(type=['CosineMatcher']),
        dict(type=None),
        dict(),
        dict(type='CosineMatcher', init_cfg=dict(type='Pretrained', checkpoint='evil.pth')),
        dict(type='CosineMatcher', other=1),
        dict(type='QAConvMatcher', size=dict(type='os.system', command='touch {ran}')),
        dict(type='QAConvMatcher', size=[dict(type='os.system', command='touch {ran}'), 1]),
        dict(type='QAConvMatcher', size=[2**40, 2**40]),
        dict(type='QAConvMatcher', size=[100_000, 100_000]),
        dict(type='QAConvMatcher', size=[-1, 2]),
        dict(type='QAConvMatcher', size=[0, 0]),
        dict(type='QAConvMatcher', size=[float('nan'), 1]),
        dict(type='QAConvMatcher', size='abc'),
    ],
    ids=str,
)
def test_only_our_matchers_are_built(tmp_path, monkeypatch, config):
    monkeypatch.chdir(tmp_path)
    for name, value in config.items():
        if isinstance(value, str):
            config[name] = value.format(ran=tmp_path / 'ran')
    with pytest.raises(ValueError, match=r'x\.pth: (matcher|QAConvMatcher)') as error:
        evaluate(tmp_path, content(config=config, state=QAConvMatcher(size=(1, 1)).state_dict()))
    assert '\n' not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ['x.pth'], 'something was run'


@pytest.mark.parametrize(
    'state',
    [
        {},
        {'bn.weight': torch.ones(1)},
        {'sign': 1},
        dict(QAConvMatcher(size=(1, 1)).state_dict(), more=torch.ones(1)),
        dict(QAConvMatcher(size=(1, 1)).state_dict(), **{'fc.weight': torch.ones(1, 2)}),
        dict(QAConvMatcher(size=(1, 1)).state_dict(), **{'fc.weight': [1.0]}),
    ],
    ids=[0, 1, 2, 3, 4, 5],
)
def test_weights_of_another_matcher_are_refused(tmp_path, state):
    with pytest.raises(ValueError, match=r'x\.pth: matcher\.state'):
        evaluate(tmp_path, content(config=dict(type='QAConvMatcher', size=(1, 1)), state=state))


def test_a_matcher_that_cannot_be_read_back_is_told(tmp_path, mmreid_log):
    class Other(CosineMatcher):
        pass

    runner = SimpleNamespace(
        test_loop=SimpleNamespace(pairs=[]),
        model=SimpleNamespace(matcher=Other()),
        cfg=SimpleNamespace(model={}),
    )
    save_features(tmp_path / 'x.pth', runner)
    assert re.search('x.pth .*Other', mmreid_log.text)
    with pytest.raises(ValueError, match="type='Other'"):
        evaluate_features(tmp_path / 'x.pth', METRIC)


FIRST = ('test_sets', 0)
BAD = {
    'no matcher': (('matcher',), None),
    'matcher a list': (('matcher',), [1]),
    'state a list': (('matcher', 'state'), [1]),
    'test sets missing': (('test_sets',), None),
    'no test set': (('test_sets',), []),
    'test sets a dict': (('test_sets',), {0: {}}),
    'test set a text': (FIRST, 'query'),
    'meta a list': ((*FIRST, 'meta'), ['tiny']),
    'meta with a list': ((*FIRST, 'meta', 'trial'), [1]),
    'meta with a number as key': ((*FIRST, 'meta', 7), 1),
    'name with a way up': ((*FIRST, 'meta', 'dataset_name'), '../../up'),
    'name that is absolute': ((*FIRST, 'meta', 'dataset_name'), '/tmp/up'),
    'name of Windows': ((*FIRST, 'meta', 'dataset_name'), '..\\up'),
    'name with a line': ((*FIRST, 'meta', 'dataset_name'), 'a\nb'),
    'name that is long': ((*FIRST, 'meta', 'dataset_name'), 'a' * 1000),
    'name a number': ((*FIRST, 'meta', 'dataset_name'), 1),
    'no query': ((*FIRST, 'query'), None),
    'no feature': ((*FIRST, 'query', 'feature'), None),
    'whole features': ((*FIRST, 'query', 'feature'), torch.ones(4, 3, dtype=torch.int64)),
    'complex features': ((*FIRST, 'query', 'feature'), torch.ones(4, 3, dtype=torch.complex64)),
    'features of 8 bits': ((*FIRST, 'query', 'feature'), torch.ones(4, 3).to(torch.float8_e4m3fn)),
    'features without a width': ((*FIRST, 'query', 'feature'), torch.ones(4, 0)),
    'maps without a height': ((*FIRST, 'query', 'feature'), torch.ones(4, 3, 0, 2)),
    'flat features': ((*FIRST, 'query', 'feature'), torch.ones(4)),
    'features of another size': ((*FIRST, 'query', 'feature'), torch.ones(4, 2)),
    'features of another type': ((*FIRST, 'query', 'feature'), torch.ones(4, 3, dtype=torch.float64)),
    'too few features': ((*FIRST, 'query', 'feature'), torch.ones(3, 3)),
    'a feature of 0-d': ((*FIRST, 'query', 'feature'), torch.tensor(1.0)),
    'pid a list': ((*FIRST, 'query', 'pid'), [0, 1, 0, 1]),
    'pid of floats': ((*FIRST, 'query', 'pid'), torch.ones(4)),
    'pid too long': ((*FIRST, 'query', 'pid'), torch.ones(5, dtype=torch.int64)),
    'camid of two dimensions': ((*FIRST, 'query', 'camid'), torch.ones(4, 1, dtype=torch.int64)),
    'timestamp a text': ((*FIRST, 'query', 'timestamp'), 'now'),
    'image index None': ((*FIRST, 'query', 'image_index'), None),
    'paths a text': ((*FIRST, 'gallery', 'img_path'), 'abcd'),
    'path a number': ((*FIRST, 'gallery', 'img_path'), ['a', 'b', 'c', 4]),
    'paths too short': ((*FIRST, 'gallery', 'img_path'), ['a']),
    'sample_idx of dicts': ((*FIRST, 'gallery', 'sample_idx'), [{}, {}, {}, {}]),
    'modality unknown': ((*FIRST, 'gallery', 'modality'), ['x'] * 4),
}


@pytest.mark.parametrize(('place', 'value'), BAD.values(), ids=BAD)
def test_wrong_content_is_one_sentence(tmp_path, place, value):
    with pytest.raises(ValueError, match=r'x\.pth: (matcher|test_sets)') as error:
        evaluate(tmp_path, put(place, value))
    assert len(str(error.value)) < 400 and '\n' not in str(error.value)


@pytest.mark.parametrize(
    'feature', [torch.ones(4, 3).to(torch.float8_e5m2), torch.ones(4, 0), torch.ones(4, 3, 0, 2)], ids=['8 bits', 0, 1]
)
def test_features_of_both_sides_that_nothing_can_rank_are_refused(tmp_path, feature):
    saved = content()
    for name in ('query', 'gallery'):
        saved['test_sets'][0][name]['feature'] = feature
    with pytest.raises(ValueError, match=r'x\.pth: test_sets\[0\]\.query\.feature .*\(4, '):
        evaluate(tmp_path, saved)


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_features_that_are_no_numbers_are_named(tmp_path, value):
    saved = content()
    saved['test_sets'][0]['query']['feature'][2, 0] = value
    with pytest.raises(ValueError, match='query image 2.*0-2.jpg'):
        evaluate(tmp_path, saved)


@pytest.mark.parametrize('value', [-(2**63), 2**63 - 1])
def test_labels_of_any_size_ask_for_no_memory(tmp_path, value):
    saved = content()
    for name in ('query', 'gallery'):
        for key in ('pid', 'camid'):
            saved['test_sets'][0][name][key][1::2] = value
    saved['test_sets'][0]['gallery']['camid'][:] = 5
    assert evaluate(tmp_path, saved)['tiny/mAP'] == 100


def test_images_stay_in_their_folder(tmp_path):
    """The name of a test set becomes a folder."""
    torch.save(put((*FIRST, 'meta', 'dataset_name'), '../up'), tmp_path / 'x.pth')
    (tmp_path / 'cfg.py').write_text("test_evaluator = dict(type='ReIDMetric')\n")
    tool = load_tool('visualization/vis_ranklist.py')
    words = [str(tmp_path / 'cfg.py'), str(tmp_path / 'x.pth'), '--out', str(tmp_path / 'out'), '--gray-missing']
    with pytest.raises(ValueError, match=r"dataset_name='\.\./up'"):
        tool.main(words)
    assert not (tmp_path / 'up').exists() and not any(Path(tmp_path / 'out').iterdir())
