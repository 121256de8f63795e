# Copyright (c) mmreid contributors. All rights reserved.
"""The command ``mmreid``: it runs the tools, and answers ``--help`` without any library."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_config import ROOT

from mmreid.cli.command import COMMANDS, main

#: Runs as the console script does, whose name is in sys.argv[0].
SCRIPT = 'import sys; sys.argv[0] = "/usr/bin/mmreid"; from mmreid.cli.command import main; main(); '
LOADED = 'print([name for name in ("torch", "mmengine", "mmcv", "numpy", "cv2") if name in sys.modules])'


def run(*command: str) -> subprocess.CompletedProcess:
    """Runs Python with this checkout."""
    env = {**os.environ, 'PYTHONPATH': str(ROOT)}
    return subprocess.run([sys.executable, *command], env=env, capture_output=True, text=True, check=False, timeout=120)


def test_help_imports_no_library():
    done = run('-c', SCRIPT + LOADED, '--help')
    assert done.returncode == 0, done.stderr
    *usage, loaded = done.stdout.splitlines()
    assert loaded == '[]' and all(any(line.startswith(f'  {name} ') for line in usage) for name in COMMANDS)


def test_python_m_mmreid_is_the_same_command():
    done = run('-X', 'importtime', '-m', 'mmreid', '--help')
    assert done.stdout.startswith('usage: mmreid') and '| torch\n' not in done.stderr


def test_every_command_has_its_script():
    for script, _ in COMMANDS.values():
        assert script is None or (ROOT / 'tools' / script).is_file(), script


@pytest.mark.parametrize(('name', 'meant'), [('trian', 'train'), ('tset', 'test')])
def test_a_typo_is_refused_with_what_was_meant(capsys, name, meant):
    with pytest.raises(SystemExit) as stopped:
        main([name])
    told = capsys.readouterr().err
    assert stopped.value.code == 2 and f"'{name}'" in told and f'mean {meant}?' in told


@pytest.mark.slow
def test_a_command_runs_the_tool_with_its_options(tmp_path: Path):
    done = run('-c', SCRIPT, 'test', str(tmp_path / 'gone.py'), 'none')
    assert done.returncode == 1 and 'gone.py' in done.stdout + done.stderr and 'Traceback' not in done.stdout


@pytest.mark.long
def test_help_of_a_command_names_the_command():
    assert run('-c', SCRIPT, 'extract', '--help').stdout.startswith('usage: mmreid extract')
