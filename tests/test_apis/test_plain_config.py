# Copyright (c) mmreid contributors. All rights reserved.
"""A model described by a stranger is built from allowed names and plain values, or refused in one sentence."""

import json
import threading
import time

import pytest
import torch
from mmengine.model import BaseModule
from test_hostile_files import JSON, refused
from tiny_models import trained
from torch import nn

from mmreid.apis import get_model
from mmreid.apis.plain_config import allowed_types
from mmreid.registry import MODELS
from mmreid.structures.inference_contract import META_KEY

RAN = []


@MODELS.register_module()
class RegisteredByTheUser(BaseModule):
    """Not of mmreid, so no file may name it."""

    def __init__(self, **kwargs) -> None:
        RAN.append(kwargs)


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp('checkpoint') / 'model.pth'
    trained('ImageReID', path)
    return torch.load(path, weights_only=True)


def save(checkpoint, path, place='', value=None):
    """Writes the checkpoint with another value, or another text altogether, in its description."""
    content = json.loads(checkpoint['meta'][META_KEY])
    *places, last = place.split('.')
    part = content
    for name in places:
        part = part[name]
    if place:
        part[last] = value
    torch.save(dict(checkpoint, meta={META_KEY: json.dumps(content)}), path)
    return path


def test_nothing_but_the_ways_of_using_a_model_can_be_named():
    names = set(allowed_types())
    assert {'ImageReID', 'ResNet', 'OSNet', 'BNNeck', 'BranchBN2d', 'QAConvMatcher', 'NoHead', 'LN2d'} <= names
    assert not names & {
        'TIMMBackbone', 'HuggingFaceClassifier', 'RegisteredByTheUser', 'ReIDHead', 'ExemplarMemory', 'CamStyleGAN',
        'Pretrained', 'ClsDataPreprocessor', 'ImageClassifier',
    }  # fmt: skip


TYPES = [
    'os.system', 'subprocess.Popen', 'torch.hub.load', 'mmreid.BNNeck', 'mmengine.Config', 'RegisteredByTheUser',
    'TIMMBackbone', 'HuggingFaceClassifier', 'builtins.exec', '', ' ', None, 7, [], {}, ['BNNeck'], 'x' * 10**6,
]  # fmt: skip


@pytest.mark.parametrize('place', ['model.type', 'model.neck.type', 'model.head.type', 'matcher.type'])
@pytest.mark.parametrize('kind', TYPES, ids=lambda kind: str(kind)[:20])
def test_names_that_are_not_listed(checkpoint, tmp_path, place, kind):
    refused(lambda: get_model(save(checkpoint, tmp_path / 'bad.pth', place, kind)), 'bad.pth')
    assert not RAN


POPEN = dict(type='subprocess.Popen', args='touch ran', shell=True)
VALUES = {
    'custom imports': ('model.custom_imports', dict(imports=['os'])),
    'another scope': ('model._scope_', 'mmdet'),
    'initial weights': ('model.backbone.init_cfg', dict(type='Pretrained', checkpoint='https://example.org/x.pth')),
    'initial weights of the model': ('model.init_cfg', dict(type='Pretrained', checkpoint='x.pth')),
    'pretrained': ('model.backbone.pretrained', True),
    'an address': ('model.backbone.style', 'https://example.org/x.pth'),
    'a file': ('model.arch', '/etc/passwd'),
    'a file beside': ('model.arch', '../arch.json'),
    'Python': ('model.backbone.style', "__import__('os').system('touch ran')"),
    'a nested object': ('model.backbone.plugins', [dict(cfg=POPEN)]),
    'a norm of a stranger': ('model.backbone.norm_cfg', POPEN),
    'an unknown argument': ('model.backbone.surplus', 1),
    'a type where none belongs': ('model.backbone.depth', dict(type='BNNeck', in_channels=3)),
    'not a number': ('model.neck.in_channels', float('nan')),
    'infinite': ('model.neck.in_channels', float('inf')),
    'a huge number': ('model.neck.in_channels', 10**4000),
    'a large network': ('model.neck.out_channels', 16384),
    'a wide network': ('model.backbone.base_channels', 16384),
    'a long text': ('model.backbone.style', 'x' * 10**6),
    'a long list': ('model.backbone.strides', [1] * 10**5),
    'many layers': ('model.backbone.strides', [10**4] * 100),
    'a list in a list': ('model.backbone.strides', [[[[[[[[[[[[[[1]]]]]]]]]]]]]]),
    'a long key': ('model.' + 'x' * 300, 1),
    'a key with a slash': ('model.backbone', {'type': 'ResNet', 'depth': 18, '../x': 1}),
    'another format': ('format', 2),
    'half of a network': ('model.backbone', dict(type='ResNet', depth=18, base_channels=2)),
    'a sequence of modules': ('model.backbone', dict(type='LeNet5')),
    'a matcher that is a network': ('matcher', dict(type='ResNet', depth=18)),
    'an interpolation of the other backend': ('preprocessing.interpolation', 'area'),
    'an image that fills the memory': ('preprocessing.size', [4096, 4096]),
    'a map that is a vector': ('embedding', 'map'),
    'modalities of another model': ('modalities', ['visible', 'infrared']),
    'a preprocessor': ('model.data_preprocessor', dict(type='ClsDataPreprocessor')),
}


@pytest.mark.parametrize(('place', 'value'), VALUES.values(), ids=VALUES)
def test_descriptions_that_are_refused(checkpoint, tmp_path, monkeypatch, place, value):
    monkeypatch.chdir(tmp_path)
    start = time.process_time()
    refused(lambda: get_model(save(checkpoint, tmp_path / 'bad.pth', place, value)), 'bad.pth')
    assert not (tmp_path / 'ran').exists() and time.process_time() - start < 5


def test_other_threads_may_build_large_networks_meanwhile(checkpoint, tmp_path):
    path, errors = save(checkpoint, tmp_path / 'good.pth', 'format', 1), []

    def build():
        try:
            for _ in range(20):
                nn.Sequential(*[nn.ReLU() for _ in range(1500)])
        except ValueError as error:
            errors.append(error)

    threads = [threading.Thread(target=build) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        get_model(path)
    for thread in threads:
        thread.join()
    assert not errors


def test_a_network_of_endless_depth_ends_early(checkpoint, tmp_path):
    deep = dict(type='ConvNeXt', arch=dict(depths=[5000] * 4, channels=[4, 8, 16, 32]))
    start = time.process_time()
    refused(lambda: get_model(save(checkpoint, tmp_path / 'bad.pth', 'model.backbone', deep)), 'bad.pth')
    assert time.process_time() - start < 5


@pytest.mark.parametrize('text', JSON.values(), ids=JSON)
def test_other_json(checkpoint, tmp_path, text):
    torch.save(dict(checkpoint, meta={META_KEY: text}), tmp_path / 'bad.pth')
    refused(lambda: get_model(tmp_path / 'bad.pth'), 'bad.pth')
    torch.save(checkpoint['state_dict'], tmp_path / 'bad.pth')
    (tmp_path / 'inference.json').write_text(text)
    refused(lambda: get_model(tmp_path), 'inference.json')


@pytest.mark.parametrize('text', [7, None, dict(model='os.system'), b'{}', ['{}']], ids=str)
def test_a_description_that_is_not_a_text(checkpoint, tmp_path, text):
    torch.save(dict(checkpoint, meta={META_KEY: text}), tmp_path / 'bad.pth')
    refused(lambda: get_model(tmp_path / 'bad.pth'), 'bad.pth')


def test_a_folder_runs_no_python(checkpoint, tmp_path):
    torch.save(checkpoint['state_dict'], tmp_path / 'weights.pth')
    (tmp_path / 'config.py').write_text("open('ran', 'w')")
    refused(lambda: get_model(tmp_path), str(tmp_path), FileNotFoundError)
