# Copyright (c) mmreid contributors. All rights reserved.
import builtins
import sys

import pytest

from mmreid.utils import collect_env as module
from mmreid.utils.collect_env import TRAPS, Finding, Trap, TrapError, check_traps, collect_env, main

BY_NAME = {trap.name: trap for trap in TRAPS}


def find(name: str) -> Finding:
    return check_traps([BY_NAME[name]])[0]


def hide(monkeypatch: pytest.MonkeyPatch, hidden: str) -> None:
    """Makes every import of one module fail."""
    original = builtins.__import__

    def refuse(name: str, *args, **kwargs):
        if name.partition('.')[0] == hidden:
            raise ModuleNotFoundError(f'No module named {name!r}', name=name)
        return original(name, *args, **kwargs)

    for loaded in [name for name in sys.modules if name.partition('.')[0] == hidden]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setattr(builtins, '__import__', refuse)


def test_versions_are_collected():
    env = collect_env()
    for name in ('OS', 'CPU count', 'Python', 'torch', 'torchvision', 'numpy', 'mmengine', 'mmpretrain', 'setuptools'):
        assert env[name]
    assert 'mmcv' in env or 'mmcv-lite' in env
    assert env['mmreid'].startswith('0.') and env['CUDA available'] in ('True', 'False')
    assert all(isinstance(value, str) and '\n' not in value for value in env.values())


def test_report_of_this_environment(capsys: pytest.CaptureFixture):
    assert main() == 0
    printed = capsys.readouterr().out
    assert all(trap.name in printed for trap in TRAPS)
    assert 'mmreid can run in this environment.' in printed


def test_every_trap_has_a_remedy_of_one_line():
    assert len(BY_NAME) == len(TRAPS)
    for trap in TRAPS:
        assert trap.remedy and '\n' not in trap.remedy and len(trap.remedy) < 120


def test_a_hard_failure_sets_the_exit_code_and_shows_the_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    def broken() -> str:
        raise RuntimeError('operator torchvision::nms does not exist\nand more')

    monkeypatch.setattr(module, 'TRAPS', (Trap('torchvision', broken, 'install both'), Trap('fine', lambda: 'ok', '-')))
    assert main() == 1
    printed = capsys.readouterr().out
    assert 'RuntimeError: operator torchvision::nms does not exist' in printed and 'and more' not in printed
    assert 'FAIL: torchvision: install both' in printed and '1 of 2 checks failed' in printed


def test_a_soft_failure_only_warns(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    def unlucky() -> str:
        raise TrapError('two of them')

    monkeypatch.setattr(module, 'TRAPS', (Trap('one OpenCV', unlucky, 'uninstall one', hard=False),))
    assert main() == 0
    assert 'warn: one OpenCV: uninstall one' in capsys.readouterr().out


def test_no_setuptools_is_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, 'pkg_resources', None)
    monkeypatch.setitem(sys.modules, 'distutils', None)
    for name in ('pkg_resources (mmengine)', 'distutils (mmengine)'):
        assert find(name).result == 'FAIL'
        assert 'setuptools<82' in BY_NAME[name].remedy


def test_no_mmcv_is_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, 'mmcv', None)
    finding = find('mmengine, mmcv, mmpretrain in bounds')
    assert finding.result == 'FAIL' and 'neither mmcv nor mmcv-lite' in finding.detail


def test_two_distributions_of_one_folder_are_found(monkeypatch: pytest.MonkeyPatch):
    installed = {'opencv-python': '5.0', 'opencv-python-headless': '5.0', 'mmcv': '2.1.0', 'mmcv-lite': '2.2.0'}
    monkeypatch.setattr(module, '_installed', lambda: installed)
    assert find('one OpenCV').detail == 'opencv-python and opencv-python-headless are both installed'
    assert find('one mmcv').result == 'warn'


@pytest.mark.parametrize(('threads', 'cores', 'result'), [(None, 64, 'warn'), ('1', 64, 'pass'), (None, 4, 'pass')])
def test_unset_threads_on_many_cores(threads: str | None, cores: int, result: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    if threads is not None:
        monkeypatch.setenv('OMP_NUM_THREADS', threads)
    monkeypatch.setattr(module.os, 'cpu_count', lambda: cores)
    assert find('threads').result == result


def test_weights_only_switched_off_is_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
    assert find('weights_only').result == 'warn'


def test_weights_folder(monkeypatch: pytest.MonkeyPatch, tmp_path):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    assert str(tmp_path) in find('ImageNet weights').detail and find('ImageNet weights').result == 'warn'
    folder = tmp_path / 'hub' / 'checkpoints'
    folder.mkdir(parents=True)
    (folder / 'resnet50-0676ba61.pth').touch()
    assert find('ImageNet weights').result == 'pass'


def test_report_without_terminaltables(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    hide(monkeypatch, 'terminaltables')
    module._print_table([('a', 'b'), ('c', 'd')])
    assert capsys.readouterr().out == 'a | b\nc | d\n'
