# Copyright (c) mmreid contributors. All rights reserved.
import re
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import ModuleType

import pytest

import mmreid
from mmreid.utils import import_guard
from mmreid.utils.import_guard import BOUNDS, check_dependencies, check_dependency, running_collect_env

ROOT = Path(__file__).resolve().parents[2]
BY_MODULE = {bound.module: bound for bound in BOUNDS}


def pretend(monkeypatch: pytest.MonkeyPatch, module: str, version: str | None) -> None:
    """Puts an empty module of the given version in the place of an installed one."""
    fake = ModuleType(module)
    if version is not None:
        fake.__version__ = version
    monkeypatch.setitem(sys.modules, module, fake)


def forget(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    """Makes ``import module`` fail as if it were not installed."""

    def refuse(name: str):
        raise ModuleNotFoundError(f'No module named {name!r}', name=name)

    monkeypatch.setattr(import_guard, 'import_module', refuse)
    monkeypatch.setattr(import_guard, 'version', lambda name: (_ for _ in ()).throw(PackageNotFoundError(name)))


def test_this_environment_passes():
    check_dependencies()
    assert re.fullmatch(r'\d+\.\d+\.\d+.*', mmreid.__version__)


def test_no_mmcv_names_the_command(monkeypatch: pytest.MonkeyPatch):
    forget(monkeypatch, 'mmcv')
    with pytest.raises(ImportError) as caught:
        check_dependency(BY_MODULE['mmcv'])
    message = str(caught.value)
    assert 'pip install mmcv-lite' in message and 'pip install mmcv-lite' in message and '\n' not in message


@pytest.mark.parametrize('module', ['mmengine', 'mmpretrain'])
def test_a_missing_dependency_names_the_command(module: str, monkeypatch: pytest.MonkeyPatch):
    forget(monkeypatch, module)
    with pytest.raises(ImportError, match=f'pip install "{module}>='):
        check_dependency(BY_MODULE[module])


@pytest.mark.parametrize('version', ['2.0.1', '2.1.0', '2.2.0'])
def test_any_distribution_that_provides_mmcv_is_accepted(version: str, monkeypatch: pytest.MonkeyPatch):
    pretend(monkeypatch, 'mmcv', version)
    assert check_dependency(BY_MODULE['mmcv']) == version


@pytest.mark.parametrize(
    ('module', 'version'),
    [
        ('mmcv', '1.7.2'),
        ('mmcv', '2.3.0'),
        ('mmengine', '0.9.0'),
        ('mmengine', '0.11.0'),
        ('mmcv', None),
        ('mmcv', '?'),
    ],
)
def test_wrong_versions_are_named(module: str, version: str | None, monkeypatch: pytest.MonkeyPatch):
    pretend(monkeypatch, module, version)
    bound = BY_MODULE[module]
    with pytest.raises(ImportError) as caught:
        check_dependency(bound)
    message = str(caught.value)
    assert (version or 'unknown version') in message
    assert f'{module}>={bound.minimum},<{bound.below}' in message and f'pip install "{bound.install}"' in message


def test_a_wrong_mmpretrain_is_named_without_importing_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(import_guard, 'version', lambda name: '1.1.0')
    with pytest.raises(ImportError, match='mmpretrain 1.1.0'):
        check_dependency(BY_MODULE['mmpretrain'])


def test_a_broken_mmcv_is_not_called_missing(monkeypatch: pytest.MonkeyPatch):
    def broken(name: str):
        raise ImportError('libGL.so.1: cannot open shared object file', name='cv2')

    monkeypatch.setattr(import_guard, 'import_module', broken)
    with pytest.raises(ImportError, match='mmcv.*libGL.so.1.*collect_env'):
        check_dependency(BY_MODULE['mmcv'])


@pytest.mark.parametrize(
    ('argv', 'orig_argv', 'expected'),
    [
        (['-m'], ['python', '-m', 'mmreid.utils.collect_env'], True),
        (['-m', 'x'], ['python', '-m', 'pytest', 'x'], False),
        (['train.py'], ['python', 'train.py', 'mmreid.utils.collect_env'], False),
    ],
)
def test_only_the_report_may_import_a_broken_environment(
    argv: list, orig_argv: list, expected: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys, 'argv', argv)
    monkeypatch.setattr(sys, 'orig_argv', orig_argv)
    assert running_collect_env() is expected


def test_bounds_are_those_of_the_requirement_files():
    required = ''.join((ROOT / 'requirements' / f'{name}.txt').read_text() for name in ('runtime', 'mminstall'))
    lines = {line.partition('#')[0].strip() for line in required.splitlines()}
    for bound in BOUNDS:
        assert bound.install in lines
        assert bound.install.endswith(f'>={bound.minimum},<{bound.below}')
