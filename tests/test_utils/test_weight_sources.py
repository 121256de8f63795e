# Copyright (c) mmreid contributors. All rights reserved.
"""Pretrained weights run no code, wherever ``init_cfg`` takes them from and whatever the environment says."""

import contextlib
import pathlib
import shutil

import pytest
import torch
from mmengine.fileio import LocalBackend
from mmengine.model import BaseModule
from mmengine.runner import CheckpointLoader

from mmreid.engine import ReIDRunner
from mmreid.models import ImageReID
from mmreid.utils import checkpoint as checkpoint_module
from mmreid.utils import register_all_modules, weight_sources
from mmreid.utils.checkpoint import CheckpointError

WEIGHTS = {'weight': torch.ones(2, 2)}


class Evil:
    """Leaves a file behind when a careless reader unpickles it."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return pathlib.Path.touch, (pathlib.Path(self.path),)


@pytest.fixture(autouse=True)
def careless(monkeypatch, tmp_path):
    """Sets the variable that turns torch's default loader into the full unpickler; installs our loaders."""
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'torch'))
    weight_sources.use_safe_loaders()


@pytest.fixture
def network(monkeypatch, tmp_path):
    """Serves ``good.pth`` and ``evil.pth`` to torch's downloads and to MMEngine's storages."""
    served = tmp_path / 'served'
    served.mkdir()
    torch.save(WEIGHTS, served / 'good.pth')
    torch.save(dict(WEIGHTS, more=Evil(tmp_path / 'ran')), served / 'evil.pth')
    asked = []

    def download(url, target, *args, **kwargs):
        asked.append(url)
        shutil.copy(served / url.rpartition('/')[2], target)

    class Storage(LocalBackend):
        def get_local_path(self, filepath):
            return contextlib.nullcontext(str(served / filepath.rpartition('/')[2]))

    for table in ('get_external_models', 'get_mmcls_models', 'get_torchvision_models'):
        monkeypatch.setattr(weight_sources, table, lambda: {f'{n}.pth': f'https://x.org/{n}.pth' for n in NAMES})
    monkeypatch.setattr(torch.hub, 'download_url_to_file', download)
    monkeypatch.setattr(checkpoint_module, 'get_file_backend', lambda path: Storage())
    return asked


NAMES = ('good', 'evil')
PREFIXES = (
    'https://x.org/', 'http://x.org/', 's3://bucket/', 'cluster:s3://bucket/', 'petrel://bucket/', 'torchvision://',
    'modelzoo://', 'open-mmlab://', 'openmmlab://', 'mmcls://',
)  # fmt: skip


@pytest.mark.parametrize('prefix', PREFIXES)
def test_every_source_is_read_without_running_code(network, tmp_path, prefix):
    loaded = CheckpointLoader.load_checkpoint(f'{prefix}good.pth')
    assert prefix == 'mmcls://' or loaded['weight'].sum() == 4
    with pytest.raises(CheckpointError, match='evil.pth.*pathlib'):
        CheckpointLoader.load_checkpoint(f'{prefix}evil.pth')
    assert not (tmp_path / 'ran').exists()


@pytest.mark.parametrize('file', ['good.pth', 'evil.pth'])
def test_a_local_file_of_init_cfg_runs_no_code(network, tmp_path, file):
    class Layer(BaseModule):
        def __init__(self):
            super().__init__(dict(type='Pretrained', checkpoint=str(tmp_path / 'served' / file)))
            self.weight = torch.nn.Parameter(torch.zeros(2, 2))

    layer = Layer()
    expected = (
        contextlib.nullcontext() if file == 'good.pth' else pytest.raises(CheckpointError, match='evil.pth.*pathlib')
    )
    with expected:
        layer.init_weights()
    assert layer.weight.sum() == (4 if file == 'good.pth' else 0) and not (tmp_path / 'ran').exists()


def test_no_loader_of_mmengine_is_left():
    """A loader that a later MMEngine adds must be replaced or refused, too."""
    for prefix, loader in CheckpointLoader._schemes.items():
        assert loader.__module__ == weight_sources.__name__, prefix


@pytest.mark.parametrize('needed_by', ['model', 'runner', 'register_all_modules'])
def test_what_needs_safe_loaders_installs_them(monkeypatch, work_dir, needed_by):
    monkeypatch.setattr(CheckpointLoader, '_schemes', {})
    if needed_by == 'model':
        head = dict(type='mmreid.ReIDHead', num_classes=3, in_channels=512)
        ImageReID(dict(type='mmpretrain.ResNet', depth=18), dict(type='mmreid.BNNeck', in_channels=512), head)
    elif needed_by == 'runner':
        ReIDRunner(torch.nn.Linear(1, 1), work_dir, log_level='ERROR')
    else:
        register_all_modules(init_default_scope=False)
    installed = dict(CheckpointLoader._schemes)
    assert installed[''] is weight_sources.load_from_local
    weight_sources.use_safe_loaders()
    assert installed == CheckpointLoader._schemes


def test_a_download_is_kept(network, tmp_path):
    for _ in range(2):
        CheckpointLoader.load_checkpoint('https://x.org/good.pth')
    assert network == ['https://x.org/good.pth']
    assert (tmp_path / 'torch' / 'hub' / 'checkpoints' / 'good.pth').is_file()


def test_another_address_with_the_same_name_is_another_file(network, tmp_path):
    folder = tmp_path / 'torch' / 'hub' / 'checkpoints'
    for address in ('https://x.org/good.pth', 'https://y.org/v2/good.pth', 'https://y.org/v2/good.pth'):
        CheckpointLoader.load_checkpoint(address)
    assert network == ['https://x.org/good.pth', 'https://y.org/v2/good.pth']
    assert len(list(folder.glob('good*.pth'))) == 2
    (folder / 'own.pth').write_bytes((folder / 'good.pth').read_bytes())  # put there by hand
    CheckpointLoader.load_checkpoint('https://z.org/own.pth')
    assert len(network) == 2


@pytest.mark.parametrize('address', ['https://x.org/', 'https://x.org/a/..', 'pavi://model'])
def test_addresses_that_are_refused(network, address):
    with pytest.raises(CheckpointError, match=address):
        CheckpointLoader.load_checkpoint(address)
    assert not network


def test_a_storage_without_its_client_is_one_sentence():
    with pytest.raises(CheckpointError, match='s3://bucket/a.pth .*client'):
        CheckpointLoader.load_checkpoint('s3://bucket/a.pth')


@pytest.mark.parametrize('prefix', ['torchvision://', 'open-mmlab://', 'mmcls://'])
def test_unknown_names_are_told(prefix):
    with pytest.raises(KeyError, match="'resnet5'.*resnet50"):
        CheckpointLoader.load_checkpoint(f'{prefix}resnet5')
