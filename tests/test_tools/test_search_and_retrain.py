# Copyright (c) mmreid contributors. All rights reserved.
"""Two commands: a search, and the training of what it found."""

import json
from pathlib import Path

import pytest
import torch
from test_tools.tool_runs import last_line
from tiny_config import ROOT
from warm_processes import run_warm

from mmreid.datasets.synthetic import RegDBPlan, write_dataset

SEARCH = """
_base_ = [
    '{base}/models/cmnas_resnet50.py', '{base}/datasets/regdb.py', '{base}/schedules/cmnas_search_40e.py',
    '{base}/default_runtime.py',
]
model = dict(mutator=dict(type='BNMutator'), head=dict(weight_losses=('ce', 'triplet')))
train_dataloader = dict(
    dataset=dict(_delete_=True, type='ImageSplit', part=0, dataset=_base_.train_dataloader.dataset)
)
custom_hooks = [*_base_.custom_hooks, dict(type='ArchLogHook'), dict(type='ArchFreezeHook')]
work_dir = '{folder}/search'
"""
RETRAIN = """
_base_ = [
    '{base}/models/cmnas_resnet50.py', '{base}/datasets/regdb.py', '{base}/schedules/cmnas_120e.py',
    '{base}/default_runtime.py',
]
model = dict(arch='{folder}/search/arch.json')
work_dir = '{folder}/retrain'
"""


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp('data') / 'regdb'
    plan = RegDBPlan(ids=12, images_per_camera=8)
    write_dataset(folder, plan.make_world(seed=0, size=(64, 32)), plan)
    return folder


def shrunk(folder: Path, text: str, name: str, data: Path, inner: str) -> list:
    """Writes a config; gives it and the options that make it small."""
    path = folder / f'{name}.py'
    path.write_text(text.format(base=ROOT / 'configs/_base_', folder=folder))
    train = f'train_dataloader.dataset{inner}'
    size = ['pipeline.1.scale=(32,64)', 'pipeline.3.crop_size=(64,32)']
    options = [
        *('model.backbone.depth=18', 'model.backbone.base_channels=4', 'model.backbone.init_cfg=None'),
        *('model.neck.in_channels=32', 'model.head.in_channels=32'),
        *('train_dataloader.batch_size=32', 'train_dataloader.num_workers=0', 'val_dataloader.num_workers=0'),
        *('test_dataloader.num_workers=0', f'{train}.data_root={data}', *(f'{train}.{entry}' for entry in size)),
        *(f'{part}_dataloader.dataset.data_root={data}' for part in ('val', 'test')),
        *(f'{part}_dataloader.dataset.{size[0]}' for part in ('val', 'test')),
    ]
    return [path, '--cfg-options', *options, 'train_cfg.max_epochs=3']


@pytest.mark.slow
def test_search_then_retrain(data, tmp_path):
    search = shrunk(tmp_path, SEARCH, 'search', data, '.dataset')
    log = run_warm('tools/train.py', *search, 'train_cfg.warmup_epochs=1').stdout
    assert 'architecture after epoch 3' in log and 'norms are split; the architecture is in' in log
    files = {path.name for path in (tmp_path / 'search').iterdir()}
    assert {'arch.json', 'arch_config.py', 'config.cfg', 'arch.png', 'pruned.pth'} <= files
    found = json.loads((tmp_path / 'search/arch.json').read_text())
    assert len(found['norms']) == 21 and any(value != 0.5 for value in found['split_probability'].values())

    retrain = shrunk(tmp_path, RETRAIN, 'retrain', data, '')
    log = run_warm('tools/train.py', *retrain, 'train_cfg.val_interval=3').stdout
    assert 'regdb' in log and 'Rank-1' in log
    state = torch.load(tmp_path / 'retrain/epoch_3.pth', weights_only=True)['state_dict']
    for name, choice in found['norms'].items():
        branches = {key.split('.')[-2] for key in state if key.startswith(f'backbone.{name}.')}
        assert branches == ({'share'} if choice == 'share' else {'visible', 'infrared'}), name

    # The weights of the search itself, without the branches that were not chosen, are tested as they are.
    options = [entry for entry in retrain[1:] if not entry.startswith(('train_', 'val_'))]
    log = run_warm('tools/test.py', retrain[0], tmp_path / 'search/pruned.pth', *options).stdout
    assert 'Rank-1' in log


@pytest.mark.slow
def test_an_architecture_of_another_backbone_is_refused(data, tmp_path):
    (tmp_path / 'search').mkdir()
    content = dict(format=1, norms={'bn1': 'share', 'stages.0.norm': 'split'})
    (tmp_path / 'search/arch.json').write_text(json.dumps(content))
    done = run_warm('tools/train.py', *shrunk(tmp_path, RETRAIN, 'retrain', data, ''), check=False)
    assert done.returncode == 1
    assert 'stages.0.norm' in done.stdout and 'layer1.0.bn1' in done.stdout and 'Traceback' not in last_line(done)
