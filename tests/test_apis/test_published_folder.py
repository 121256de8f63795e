# Copyright (c) mmreid contributors. All rights reserved.
"""Published folders: written, loaded, and refused where they are not what they say."""

import json
import re
import shutil
import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from test_tools.tool_modules import load_tool
from tiny_models import MODELS_BY_KIND, trained

from mmreid.apis import ReIDInferencer, get_model, publish_folder
from mmreid.apis.model_building import contract_of_model
from mmreid.apis.publishing import FORMATS, training_data
from mmreid.structures import InferenceContract
from mmreid.utils.checkpoint import CheckpointError

IMAGES = [np.random.default_rng(seed).integers(0, 255, (70, 30, 3), np.uint8) for seed in range(3)]


def write_trained(folder, kind='ImageReID'):
    """Writes a checkpoint and its config."""
    cfg, model = trained(kind, folder / 'epoch_1.pth')
    cfg.train_dataloader = dict(dataset=dict(type='Market1501', data_root='/secret/place', name='procedural'))
    cfg.dump(folder / 'config.py')
    return folder / 'epoch_1.pth', folder / 'config.py'


@pytest.fixture(scope='module')
def source(tmp_path_factory):
    return write_trained(tmp_path_factory.mktemp('trained'))


@pytest.fixture(scope='module', params=FORMATS)
def published(source, request, tmp_path_factory):
    folder = tmp_path_factory.mktemp('published') / 'model'
    publish_folder(source[0], folder, source[1], request.param)
    return folder


@pytest.fixture
def folder(published, tmp_path):
    """A copy, to be spoiled."""
    return shutil.copytree(published, tmp_path / 'copy')


def weights_in(folder):
    return next(path for path in folder.iterdir() if path.suffix in ('.pth', '.safetensors'))


def change_record(folder, **changes):
    content = json.loads((folder / 'inference.json').read_text())
    content['weights'].update(changes)
    (folder / 'inference.json').write_text(json.dumps(content))


def features(model, modality=None):
    inferencer = ReIDInferencer(model, device='cpu')
    return inferencer.extract(IMAGES, channel_order='bgr', modality=modality, progress=False)


@pytest.mark.parametrize('kind', MODELS_BY_KIND)
def test_a_folder_gives_what_its_checkpoint_gives(kind, tmp_path):
    checkpoint, config = write_trained(tmp_path, kind)
    publish_folder(checkpoint, tmp_path / 'model', config)
    modality = 'infrared' if kind == 'CrossModalReID' else None
    wanted = features(checkpoint, modality)
    np.testing.assert_array_equal(features(tmp_path / 'model', modality), wanted)
    assert np.ptp(wanted) > 0.01


def test_what_a_folder_holds(published, source):
    weights = weights_in(published)
    assert {path.name for path in published.iterdir()} == {weights.name, 'inference.json', 'README.md'}
    assert weights.name == 'model.safetensors' or re.fullmatch('model-[0-9a-f]{8}.pth', weights.name)
    assert not [name for name in get_model(published).state_dict() if name.startswith('head.')]
    assert contract_of_model(get_model(published)) == contract_of_model(get_model(source[0]))
    text = ''.join(path.read_text() for path in (published / 'README.md', published / 'inference.json'))
    assert '/secret' not in text and str(source[0].parent) not in text
    assert b'/secret' not in weights.read_bytes()


def test_a_folder_is_also_weights_for_a_config(published, source):
    np.testing.assert_array_equal(
        ReIDInferencer(source[1], published, device='cpu').extract(IMAGES, channel_order='bgr'), features(published)
    )
    with pytest.raises(ValueError, match='model.*weights'):
        ReIDInferencer()


def test_half_the_size(source, published, tmp_path):
    form = 'pth' if weights_in(published).suffix == '.pth' else 'safetensors'
    publish_folder(*source[:1], tmp_path / 'half', source[1], form, half=True)
    assert weights_in(tmp_path / 'half').stat().st_size < 0.7 * weights_in(published).stat().st_size
    assert next(get_model(tmp_path / 'half').parameters()).dtype == torch.float32
    np.testing.assert_allclose(features(tmp_path / 'half'), features(published), atol=0.01)


def test_numbers_too_large_for_half_are_refused(tmp_path):
    checkpoint, config = write_trained(tmp_path)
    content = torch.load(checkpoint, weights_only=True)
    content['state_dict']['neck.bn.running_var'][0] = 1e6
    torch.save(content, checkpoint)
    with pytest.raises(ValueError, match='neck.bn.running_var'):
        publish_folder(checkpoint, tmp_path / 'model', config, half=True)
    assert not (tmp_path / 'model').exists()


def test_the_card(source, tmp_path):
    (tmp_path / 'results.json').write_text(json.dumps({'procedural/mAP': 61.25, 'procedural/Rank-1': 70.0}))
    options = ['--config', str(source[1]), '--license', 'apache-2.0', '--results', str(tmp_path / 'results.json')]
    tool = load_tool('model_converters/publish_model.py')
    tool.main([str(source[0]), str(tmp_path / 'model'), '--format', 'pth', *options])
    card = (tmp_path / 'model' / 'README.md').read_text()
    header = card.split('---\n')[1]
    assert 'license: apache-2.0\n' in header and 'library_name: mmreid\n' in header and 'license_name' not in header
    assert 'procedural (in the layout of Market1501)' in card and 'drawn people only' in card
    assert re.search(r'\| procedural \| mAP \| 61.2 \| measured, with these weights', card)
    for section in ('Intended use', 'Out-of-scope use', 'Retention', 'License', 'Data'):
        assert f'\n## {section}\n' in card
    assert not re.search('<[a-zA-Z!/]', card.split('```')[2])


def test_the_card_marks_reported_numbers(source, tmp_path):
    checkpoint, _ = source
    config = tmp_path / 'bot_resnet50_1xb64-120e_market1501-256x128.py'
    shutil.copy(source[1], config)
    publish_folder(checkpoint, tmp_path / 'model', config)
    card = (tmp_path / 'model' / 'README.md').read_text()
    assert re.search(r'\| Market-1501 \| mAP \| 85.7 \| reported .*https://', card)
    assert 'license: other\n' in card and '\nlicense_name: ' in card


@pytest.mark.parametrize(
    ('option', 'value'),
    [('license_id', '<script>'), ('license_id', 'a\nb'), ('file_format', 'bin'), ('file_format', None)],
)
def test_options_that_cannot_be(option, value, source, tmp_path):
    with pytest.raises(ValueError, match=re.escape(repr(value))):
        publish_folder(source[0], tmp_path / 'model', source[1], **{option: value})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('text', ['', '[1]', '{"mAP": "<b>"}', '{"mAP": NaN}', '{"mAP": true}'])
def test_results_that_are_none(text, source, tmp_path):
    (tmp_path / 'results.json').write_text(text)
    with pytest.raises(ValueError, match='results.json'):
        publish_folder(source[0], tmp_path / 'model', source[1], results=[tmp_path / 'results.json'])
    assert not (tmp_path / 'model').exists()


def test_nothing_is_overwritten_and_nothing_half_written(source, published, tmp_path, monkeypatch):
    before = sorted((path.name, path.read_bytes()) for path in published.iterdir())
    with pytest.raises(FileExistsError, match=str(published)):
        publish_folder(source[0], published, source[1])
    assert sorted((path.name, path.read_bytes()) for path in published.iterdir()) == before

    def fail(*_):
        raise RuntimeError('stopped in the middle')

    monkeypatch.setattr('mmreid.apis.publishing.model_card', fail)
    with pytest.raises(RuntimeError, match='middle'):
        publish_folder(source[0], tmp_path / 'model', source[1])
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_of_another_config(source, tmp_path):
    _, config = write_trained(tmp_path, 'PairwiseReID')
    with pytest.raises(ValueError, match='epoch_1.pth'):
        publish_folder(source[0], tmp_path / 'model', config)
    assert not (tmp_path / 'model').exists()


@pytest.mark.parametrize('words', [['--half'], ['--format', 'pth'], ['--format', 'onnx', '--config', 'x.py']], ids=str)
def test_options_that_do_not_go_together(words, source, tmp_path, capsys):
    tool = load_tool('model_converters/publish_model.py')
    with pytest.raises(SystemExit):
        tool.main([str(source[0]), str(tmp_path / 'model'), *words])
    assert words[0] in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_changed_weights_are_noticed(folder):
    weights = weights_in(folder)
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ValueError, match=f'{weights.name}.*[0-9a-f]{{64}}'):
        get_model(folder)


def test_a_wrong_hash_is_noticed(folder):
    change_record(folder, sha256='0' * 64)
    with pytest.raises(ValueError, match='0' * 64):
        get_model(folder)


def test_two_files_of_weights(folder):
    shutil.copy(weights_in(folder), folder / f'other{weights_in(folder).suffix}')
    with pytest.raises(ValueError, match='2 files.*other'):
        get_model(folder)


def test_no_weights(folder):
    weights_in(folder).unlink()
    with pytest.raises(ValueError, match='0 files'):
        get_model(folder)


@pytest.mark.parametrize(
    'name', ['../model.pth', '/etc/passwd', 'a/model.pth', '..\\model.pth', 'model.pth\x00', '.pth', 'C:model.pth', 7]
)
def test_names_that_lead_elsewhere(folder, name):
    shutil.copy(weights_in(folder), folder.parent / 'model.pth')
    change_record(folder, file=name)
    with pytest.raises(ValueError, match=re.escape(f"'file': {name!r}")):
        get_model(folder)


@pytest.mark.parametrize('record', [None, [], {}, 'model.pth', dict(file='model.pth'), dict(file='m.pth', sha256='f')])
def test_records_of_another_form(folder, record):
    content = json.loads((folder / 'inference.json').read_text())
    (folder / 'inference.json').write_text(json.dumps(dict(content, weights=record)))
    with pytest.raises(ValueError, match='inference.json'):
        get_model(folder)


def test_a_file_that_is_not_there(folder):
    change_record(folder, file='absent.pth')
    with pytest.raises(FileNotFoundError, match='absent.pth'):
        get_model(folder)


@pytest.mark.parametrize('name', ['README.md', 'inference.json'])
@pytest.mark.parametrize('text', ['<!DOCTYPE html><html></html>', '\ufeff\n <script>alert(1)</script>'])
def test_a_web_page_in_place_of_a_file(folder, name, text):
    (folder / name).write_text(text)
    with pytest.raises(ValueError, match=f'{name} is a web page'):
        get_model(folder)


@pytest.mark.parametrize('text', ['', '[', '[]', '{"format": 1}', '[' * 100_000, '\x00'], ids=lambda text: text[:9])
def test_an_inference_file_that_is_none(folder, text):
    (folder / 'inference.json').write_text(text)
    with pytest.raises(ValueError, match='inference.json'):
        get_model(folder)


@pytest.mark.parametrize(
    'content', [b'', b'{}', b'\xff' * 64, (10**12).to_bytes(8, 'little') + b'{}', b'\x02' + bytes(7) + b'{}x'], ids=len
)
def test_safetensors_that_are_none(source, content, tmp_path):
    (tmp_path / 'bad.safetensors').write_bytes(content)
    with pytest.raises((CheckpointError, ValueError), match='bad.safetensors'):
        get_model(source[1], tmp_path / 'bad.safetensors')


def test_a_missing_package_is_one_sentence(source, published, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'safetensors.torch', None)
    monkeypatch.setitem(sys.modules, 'safetensors', None)
    with pytest.raises(ImportError, match='pip install safetensors'):
        publish_folder(source[0], tmp_path / 'model', source[1])
    assert not list(tmp_path.iterdir())
    if weights_in(published).suffix == '.pth':
        assert features(published).shape == (3, 32)
    else:
        with pytest.raises(ImportError, match='model.safetensors.*pip install safetensors'):
            get_model(published)


@pytest.fixture
def hub(published, monkeypatch):
    """A hub of one model; lists what was asked for."""
    asked = []

    def snapshot_download(name, revision, allow_patterns):
        asked.append((name, revision))
        assert set(allow_patterns) == {'inference.json', 'README.md', 'model.safetensors', 'model-*.pth'}
        if name != 'owner/name':
            raise OSError(f'404 for\n{name}')
        return str(published)

    module = ModuleType('huggingface_hub')
    module.snapshot_download = snapshot_download
    monkeypatch.setitem(sys.modules, 'huggingface_hub', module)
    return asked


def test_the_hub(hub, published, source):
    wanted = features(published)
    for arguments in (dict(), dict(model=source[1])):
        inferencer = ReIDInferencer(**arguments, weights='hf://owner/name@v1.0', device='cpu')
        np.testing.assert_array_equal(inferencer.extract(IMAGES, channel_order='bgr'), wanted)
    assert hub == [('owner/name', 'v1.0')] * 2
    with pytest.raises(ConnectionError, match='hf://owner/other.*404'):
        get_model(None, 'hf://owner/other')


def test_nothing_else_asks_the_hub(hub, published):
    get_model(published)
    for model in ('hf://owner/name', 'owner/name'):
        with pytest.raises(ValueError, match=model):
            ReIDInferencer(model)
    assert not hub


@pytest.mark.parametrize(
    'address', ['hf://owner', 'hf://a/b/c', 'hf://../name', 'hf://a/..', 'hf://a/b@', 'hf://a/b?x']
)
def test_addresses_that_are_none(hub, address):
    with pytest.raises(ValueError, match=re.escape(address)):
        get_model(None, address)
    assert not hub


def test_the_hub_needs_its_package(monkeypatch):
    monkeypatch.setitem(sys.modules, 'huggingface_hub', None)
    with pytest.raises(ImportError, match='hf://owner/name.*huggingface_hub'):
        get_model(None, 'hf://owner/name')


def test_a_contract_alone_may_have_nothing_beside_it(published):
    text = (published / 'inference.json').read_text()
    with pytest.raises(ValueError, match='weights'):
        InferenceContract.from_json(text, 'inference.json')
    assert InferenceContract.from_json(text, 'x', beside=('weights',)) == contract_of_model(get_model(published))


def test_training_data_is_named_through_all_wrappers():
    plain = dict(type='mmreid.Market1501', data_root='/secret')
    named = dict(plain, name='procedural')
    both = dict(dataset=dict(type='ConcatReIDDataset', datasets=[dict(type='Wrapper', dataset=plain), named, plain]))
    assert training_data(both) == ['Market1501', 'procedural (in the layout of Market1501)']
    assert training_data(None) == []
