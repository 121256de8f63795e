# Copyright (c) mmreid contributors. All rights reserved.
"""Importing mmreid is light, and changes nothing of torch or MMEngine."""

import subprocess  # noqa: TID251  what an import does shows only in a fresh Python
import sys

import pytest

# Snapshots every function and class of torch and MMEngine, methods included, and the tables that imports could fill.
CHANGED_BY_IMPORTING_ALL = """
import pkgutil, sys, types, importlib, torch
import mmpretrain.apis, mmpretrain.models, mmpretrain.datasets, mmpretrain.engine, mmpretrain.evaluation
import mmpretrain.visualization, mmengine.runner, mmengine.optim, torch.utils.checkpoint, torch.distributed.nn
from mmengine.runner import CheckpointLoader

def snapshot():
    found = {f'scheme {prefix}': loader for prefix, loader in CheckpointLoader._schemes.items()}
    for name, module in list(sys.modules.items()):
        if name.split('.')[0] not in ('torch', 'mmengine') or not isinstance(module, types.ModuleType):
            continue
        for key, value in list(vars(module).items()):
            if isinstance(value, (types.FunctionType, types.BuiltinFunctionType, type)):
                found[f'{name}.{key}'] = value
            if isinstance(value, type) and value.__module__ == name:
                methods = {k: v for k, v in vars(value).items() if isinstance(v, types.FunctionType)}
                found.update({f'{name}.{key}.{method}': function for method, function in methods.items()})
    return found

globals_before = set(map(str, torch.serialization.get_safe_globals()))
before = snapshot()
import mmreid
for module in pkgutil.walk_packages(mmreid.__path__, 'mmreid.'):
    importlib.import_module(module.name)
after = snapshot()
assert len(before) > 5000, len(before)
print([name for name, value in before.items() if after.get(name) is not value])
print(set(map(str, torch.serialization.get_safe_globals())) - globals_before)
"""

LOADS_A_LOG_HISTORY = """
import sys, torch
from mmengine.logging import HistoryBuffer
from mmreid.utils.checkpoint import load_checkpoint_file
torch.save(dict(history=HistoryBuffer([2.0], [1])), sys.argv[1])
print(load_checkpoint_file(sys.argv[1])['history'].current())
"""


def fresh_python(code: str, *args: str) -> str:
    done = subprocess.run([sys.executable, '-c', code, *args], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize('heavy', ['mmengine.optim', 'mmengine.runner', 'mmpretrain', 'matplotlib', 'numba'])
def test_the_package_alone_is_light(imported_by_mmreid: set, heavy: str):
    assert heavy not in imported_by_mmreid


@pytest.fixture(scope='module')
def imported_by_mmreid() -> set:
    found = set(fresh_python('import sys, mmreid; print(*sys.modules)').split())
    assert 'mmreid.utils.setup_env' in found
    return found


@pytest.mark.long
def test_no_module_replaces_anything_of_torch_or_mmengine():
    assert fresh_python(CHANGED_BY_IMPORTING_ALL).splitlines()[-2:] == ['[]', 'set()']


@pytest.mark.long
def test_the_reader_of_checkpoints_needs_no_other_call(tmp_path):
    assert fresh_python(LOADS_A_LOG_HISTORY, str(tmp_path / 'history.pth')) == '2.0'
