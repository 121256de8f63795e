# Copyright (c) mmreid contributors. All rights reserved.
import io
import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import Dataset

from mmreid.utils.compat import register_safe_globals


class ToyDataset(Dataset):
    """Four vectors."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> dict:
        return {'inputs': torch.full((3,), float(index))}


class ToyModel(BaseModel):
    """One linear layer that learns to output zero."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 1)

    def forward(self, inputs: list, mode: str = 'loss') -> dict:
        return {'loss': self.linear(torch.stack(inputs)).square().mean()}


def toy_runner(work_dir: str, name: str, scheduler: dict, **kwargs) -> Runner:
    return Runner(
        ToyModel(),
        work_dir,
        train_dataloader=dict(
            dataset=ToyDataset(),
            batch_size=2,
            sampler=dict(type='DefaultSampler', shuffle=False),
            collate_fn=dict(type='pseudo_collate'),
        ),
        train_cfg=dict(by_epoch=False, max_iters=2),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9)),
        param_scheduler=scheduler,
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=1)),
        experiment_name=name,
        log_level='ERROR',
        **kwargs,
    )


ONE_CYCLE = dict(type='OneCycleLR', by_epoch=False, eta_max=0.1, total_steps=4)
COSINE = dict(type='CosineAnnealingLR', by_epoch=False, T_max=4)


@pytest.mark.parametrize('scheduler', [ONE_CYCLE, COSINE], ids=['one_cycle', 'cosine'])
def test_training_checkpoint_loads_and_resumes(scheduler: dict, work_dir: str, request: pytest.FixtureRequest):
    name = request.node.name
    toy_runner(work_dir, f'{name}_train', dict(scheduler)).train()

    path = Path(work_dir) / 'iter_1.pth'
    checkpoint = torch.load(path, weights_only=True)
    history = checkpoint['message_hub']['log_scalars']['train/loss']
    assert isinstance(history, HistoryBuffer)
    assert history.data[0].dtype == np.float64 and history.current() > 0

    resumed = toy_runner(work_dir, f'{name}_resume', dict(scheduler), resume=True, load_from=str(path))
    resumed.train()
    assert resumed.iter == 2


def test_without_registration_the_same_checkpoint_is_refused():
    file = io.BytesIO()
    torch.save(HistoryBuffer([1.0], [1]), file)
    file.seek(0)
    registered = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    try:
        with pytest.raises(pickle.UnpicklingError, match='HistoryBuffer'):
            torch.load(file, weights_only=True)
    finally:
        torch.serialization.add_safe_globals(registered)


def test_registering_again_changes_nothing():
    before = set(torch.serialization.get_safe_globals())
    register_safe_globals()
    assert set(torch.serialization.get_safe_globals()) == before


# ---------------------------------------------------------------- values of numpy, as numpy 1 and numpy 2 write them


class AsNumpy(pickle._Pickler):
    """Writes numpy's private module under the name that the given numpy version has for it."""

    home = 'numpy.core.multiarray'

    def save_global(self, obj, name=None):
        if getattr(obj, '__name__', '') in ('_reconstruct', 'scalar') and 'multiarray' in obj.__module__:
            self.write(f'c{self.home}\n{obj.__name__}\n'.encode())
            self.memoize(obj)
        else:
            super().save_global(obj, name)

    dispatch = pickle._Pickler.dispatch.copy()
    dispatch[type(np.zeros(0).__reduce__()[0])] = save_global


class AsNumpy1(AsNumpy):
    home = 'numpy.core.multiarray'


class AsNumpy2(AsNumpy):
    home = 'numpy._core.multiarray'


def module_with(pickler: type, name: str = 'pickle_for_test'):
    """Makes what ``torch.save`` expects of a pickle module."""
    return SimpleNamespace(__name__=name, Pickler=pickler)


@pytest.mark.parametrize('pickler', [AsNumpy1, AsNumpy2])
def test_numpy_values_load_under_both_names(pickler: type):
    values = dict(
        floats=np.arange(3, dtype='f8'),
        big_endian=np.arange(3, dtype='>f4'),
        ints=np.arange(4).reshape(2, 2),
        half=np.ones(1, dtype='f2'),
        bools=np.array([True, False]),
        texts=np.array(['a', 'bcd']),
        raw=np.array([b'x', b'yz']),
        scalar=np.float32(1.5),
        flag=np.bool_(True),
    )
    file = io.BytesIO()
    torch.save(values, file, pickle_module=module_with(pickler))
    assert pickler.home.encode() in file.getvalue()
    file.seek(0)
    loaded = torch.load(file, weights_only=True)
    for name, value in values.items():
        np.testing.assert_array_equal(loaded[name], value)
        assert loaded[name].dtype == pickle.loads(pickle.dumps(value, protocol=2)).dtype
        assert type(loaded[name]) is type(value)


# ---------------------------------------------------------------------------------- files that try to do something else


def load_crafted(program: bytes):
    """Loads a hand-written pickle program as torch does with ``weights_only=True``."""
    file = io.BytesIO()
    torch.save({}, file)
    template = file.getvalue()
    crafted = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(template)) as source, zipfile.ZipFile(crafted, 'w') as target:
        for item in source.namelist():
            target.writestr(item, program if item.endswith('data.pkl') else source.read(item))
    crafted.seek(0)
    return torch.load(crafted, weights_only=True)


def text(value: str) -> bytes:
    raw = value.encode()
    return b'X' + struct.pack('<I', len(raw)) + raw


HISTORY = b'cmmengine.logging.history_buffer\nHistoryBuffer\n'
ONE_CYCLE_CLASS = b'cmmengine.optim.scheduler.param_scheduler\nOneCycleParamScheduler\n'
GETATTR = b'cbuiltins\ngetattr\n'


def getattr_program(owner: bytes, name: str) -> bytes:
    return b'\x80\x02' + GETATTR + owner + text(name) + b'\x86R.'


def test_getattr_gives_what_checkpoints_need():
    assert load_crafted(getattr_program(HISTORY, 'mean')) is HistoryBuffer.mean
    assert load_crafted(getattr_program(ONE_CYCLE_CLASS, '_annealing_cos'))(1, 0, 1) == pytest.approx(0)


@pytest.mark.parametrize('owner', [HISTORY, ONE_CYCLE_CLASS, b'ccollections\nOrderedDict\n'])
@pytest.mark.parametrize('name', ['__init__', '__globals__', '__class__', 'update', 'statistics'])
def test_getattr_reaches_nothing_else(owner: bytes, name: str):
    with pytest.raises(pickle.UnpicklingError, match='getattr'):
        load_crafted(getattr_program(owner, name))


def test_getattr_chain_to_globals_is_refused():
    init = GETATTR + HISTORY + text('__init__') + b'\x86R'
    program = b'\x80\x02' + GETATTR + init + text('__globals__') + b'\x86R.'
    with pytest.raises(pickle.UnpicklingError, match='__init__'):
        load_crafted(program)


def test_numpy_cannot_forge_objects():
    forged_pointer = b'\x80\x02cnumpy\nndarray\n(K\x01\x85' + text('O') + text('A' * 8) + b'tR.'
    with pytest.raises(pickle.UnpicklingError, match='numpy.ndarray'):
        load_crafted(forged_pointer)
    for spec in ('O', 'V8', 'M8[s]', 'f8,O'):
        with pytest.raises(pickle.UnpicklingError, match='numpy type'):
            load_crafted(b'\x80\x02cnumpy\ndtype\n' + text(spec) + b'\x85R.')
    other_class = b'\x80\x02cnumpy.core.multiarray\n_reconstruct\n' + HISTORY + b'K\x00\x85' + text('b') + b'\x87R.'
    with pytest.raises(pickle.UnpicklingError, match='HistoryBuffer'):
        load_crafted(other_class)


def test_no_filled_class_can_be_named():
    for entry in torch.serialization.get_safe_globals():
        if isinstance(entry, tuple) and isinstance(entry[0], type):
            assert '\n' in entry[1]
        else:
            assert entry is not np.ndarray and not (isinstance(entry, type) and issubclass(entry, np.dtype))


class Malicious:
    """Runs a command when unpickled."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple:
        return os.system, (f'touch {self.folder}/ran',)


@pytest.mark.parametrize('wrap', [lambda evil: evil, lambda evil: OrderedDict(state_dict={}, meta=[evil])])
def test_code_in_a_checkpoint_is_refused_and_does_not_run(wrap, work_dir: str):
    path = f'{work_dir}/evil.pth'
    torch.save(wrap(Malicious(work_dir)), path)
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)
    assert not os.path.exists(f'{work_dir}/ran')


def test_code_inside_a_history_is_refused_and_does_not_run(work_dir: str):
    history = HistoryBuffer([1.0], [1])
    history.extra = Malicious(work_dir)
    path = f'{work_dir}/evil.pth'
    torch.save({'message_hub': {'log_scalars': {'loss': history}}}, path)
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)
    assert not os.path.exists(f'{work_dir}/ran')
