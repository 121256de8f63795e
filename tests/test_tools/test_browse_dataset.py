# Copyright (c) mmreid contributors. All rights reserved.
import importlib.util
import re

import cv2
import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from test_tools.tool_runs import write_config
from tiny_config import ROOT, tiny_config
from tiny_data import write_market

from mmreid.engine.runners import ReIDRunner
from mmreid.utils.setup_env import register_all_modules

NAME = 'baseline/bot_resnet50_1xb64-120e_market1501-256x128.py'
TOOL = 'tools/visualization/browse_dataset.py'


@pytest.fixture
def browse():
    """The tool as a module, in the scope that its ``main`` sets."""
    register_all_modules()
    spec = importlib.util.spec_from_file_location('browse_dataset', ROOT / TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Keep(Hook):
    """Keeps what the model got in the first two steps."""

    def __init__(self):
        self.batches = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if batch_idx < 2:
            self.batches.append([sample.img_path for sample in data_batch['data_samples']])
            self.batches.append(data_batch['inputs'].clone())


def test_shows_the_batches_that_training_begins_with(browse, tmp_path, monkeypatch):
    cfg = tiny_config(NAME, write_market(tmp_path / 'data'), tmp_path / 'work')
    cfg.train_dataloader.num_workers = 1
    cfg.train_cfg = dict(by_epoch=True, max_epochs=1)
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = cfg.test_dataloader = cfg.test_cfg = None
    cfg.test_evaluator = None
    shown = []
    monkeypatch.setattr(browse, 'denormalize', lambda inputs, *args: shown.append(inputs) or np.zeros((8, 64, 32, 3)))
    monkeypatch.setattr(browse, 'draw_batch', lambda _, samples, title: shown.append([s.img_path for s in samples]))
    names = [name for name, _ in browse.draw_batches(cfg, 'train', 2)]
    assert names == ['train0_batch0', 'train0_batch1']
    hook = Keep()
    runner = ReIDRunner.from_cfg(cfg)
    runner.register_hook(hook)
    runner.train()
    assert hook.batches[0::2] == shown[1::2]
    preprocessor = runner.model.data_preprocessor
    for raw, inputs in zip(hook.batches[1::2], shown[0::2], strict=True):
        torch.testing.assert_close(preprocessor(dict(inputs=raw, data_samples=None))['inputs'], inputs)


def test_writes_a_file_for_each_batch_or_one_for_all(browse, tmp_path, monkeypatch, capsys):
    config = write_config(tmp_path / 'config.py', write_market(tmp_path / 'data'), tmp_path / 'work')
    start = ['browse_dataset.py', str(config), '--cfg-options', 'train_dataloader.num_workers=0']
    monkeypatch.setattr('sys.argv', [*start, '--out', str(tmp_path / 'out')])
    browse.main()
    files = [tmp_path / 'out' / f'train0_batch{number}.jpg' for number in range(2)]
    assert capsys.readouterr().out.split()[-2:] == [str(file) for file in files]
    heights = [cv2.imread(str(file)).shape[0] for file in files]
    monkeypatch.setattr('sys.argv', [*start, '--out', str(tmp_path / 'both.png')])
    browse.main()
    assert cv2.imread(str(tmp_path / 'both.png')).shape[0] == sum(heights)


def test_several_dataloaders(browse, tmp_path):
    cfg = tiny_config(NAME, write_market(tmp_path / 'data'), tmp_path / 'work')
    other = cfg.val_dataloader.copy()
    other.batch_size = 4
    cfg.val_dataloader = [cfg.val_dataloader, other]
    drawn = dict(browse.draw_batches(cfg, 'val', 1))
    assert list(drawn) == ['val0_batch0', 'val1_batch0']
    assert drawn['val0_batch0'].shape[1] == 2 * drawn['val1_batch0'].shape[1]  # 8 images a row, and 4


@pytest.mark.parametrize(
    'flags, message',
    [
        (['--num-batches', '0'], 'error: --num-batches 0'),
        (['--show'], 'error: --show: '),
        (['--cfg-options', 'val_dataloader=None', '--split', 'val'], 'error: .* val_dataloader'),
        (['--cfg-options', 'train_dataloader.dataset.data_root=nowhere'], 'nowhere'),
    ],
)
def test_what_cannot_be_shown_is_refused_in_a_sentence(browse, flags, message, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv('DISPLAY', raising=False)
    monkeypatch.delenv('WAYLAND_DISPLAY', raising=False)
    argv = ['browse_dataset.py', str(ROOT / 'configs' / NAME), '--out', str(tmp_path / 'out'), *flags]
    monkeypatch.setattr('sys.argv', argv)
    with pytest.raises(SystemExit) as stopped, browse.one_line_errors():
        browse.main()
    assert stopped.value.code == 1
    assert re.search(message, capsys.readouterr().err)
