# Copyright (c) mmreid contributors. All rights reserved.
"""The parts of a sharded memory: a manifest of a stranger reaches no file but those beside the checkpoint."""

import copy
import hashlib
from types import SimpleNamespace

import pytest
import torch

from mmreid.engine.checkpoints.memory_shards import load_slots, save_shards
from mmreid.utils.checkpoint import CheckpointError


@pytest.fixture
def saved(tmp_path):
    features = torch.arange(12.0).view(4, 3)
    memory = SimpleNamespace(rank=0, num_shards=1, features=features, first=0, num_slots=4, feat_dim=3)
    (tmp_path / 'run').mkdir()
    manifest = save_shards(memory, str(tmp_path / 'run' / 'epoch_1.pth'))
    return manifest, tmp_path / 'run'


def test_slots_come_back(saved):
    manifest, folder = saved
    assert load_slots(manifest, str(folder), 1, 3).tolist() == [[3, 4, 5], [6, 7, 8]]


@pytest.mark.parametrize(
    'name',
    [
        '../x.memory-0of1.pth',
        '/tmp/x.memory-0of1.pth',
        'a/../../x.memory-0of1.pth',
        'evil.pth',
        '',
        None,
        7,
        ['a'],
        '..',
    ],
    ids=str,
)
def test_parts_lie_beside_the_checkpoint(saved, name):
    manifest, folder = saved
    outside = folder.parent / 'x.memory-0of1.pth'
    (folder / manifest['parts'][0]['name']).rename(outside)
    manifest['parts'][0]['name'] = name.replace('/tmp', str(folder.parent)) if isinstance(name, str) else name
    with pytest.raises(ValueError, match='as a part of its exemplar memory, which is not a file beside it') as error:
        load_slots(manifest, str(folder), 0, 4)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize(
    ('place', 'value'),
    [
        (('parts',), None),
        (('parts',), 'all'),
        (('parts', 0), 'x.memory-0of1.pth'),
        (('parts', 0, 'first'), None),
        (('parts', 0, 'first'), 0.0),
        (('parts', 0, 'first'), torch.zeros(1)),
        (('size',), None),
        (('size',), 4),
        (('size',), [4]),
        (('size',), ['a', 'b']),
        (('size',), [4, 2]),
        (('size',), [2**80, 3]),
        (('size',), [-4, 3]),
    ],
)
def test_a_manifest_of_wrong_content_is_one_sentence(saved, place, value):
    manifest, folder = saved
    manifest = entry = copy.deepcopy(manifest)
    for key in place[:-1]:
        entry = entry[key]
    entry[place[-1]] = value
    with pytest.raises(ValueError, match='exemplar memory|holds no features of the slots') as error:
        load_slots(manifest, str(folder), 0, 4)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('manifest', [None, [], 'x', {}, dict(parts=[], size=[4, 3])], ids=str)
def test_what_is_no_manifest(tmp_path, manifest):
    with pytest.raises(ValueError, match='exemplar memory'):
        load_slots(manifest, str(tmp_path), 0, 4)


@pytest.mark.parametrize('content', [dict(), dict(features=[1.0]), dict(features=torch.ones(4)), dict(features={})])
def test_a_part_without_features(saved, content):
    manifest, folder = saved
    file = folder / manifest['parts'][0]['name']
    torch.save(content, file)
    manifest['parts'][0]['sha256'] = hashlib.sha256(file.read_bytes()).hexdigest()
    with pytest.raises(ValueError, match='memory-0of1.pth holds no features of the slots 0 to 3'):
        load_slots(manifest, str(folder), 0, 4)


def test_a_part_that_is_no_plain_data(saved):
    manifest, folder = saved
    file = folder / manifest['parts'][0]['name']
    torch.save(dict(features=copy.copy), file)
    manifest['parts'][0]['sha256'] = hashlib.sha256(file.read_bytes()).hexdigest()
    with pytest.raises(CheckpointError, match='copy.copy, which is not plain data'):
        load_slots(manifest, str(folder), 0, 4)
