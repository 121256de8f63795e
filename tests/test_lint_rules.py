# Copyright (c) mmreid contributors. All rights reserved.
"""What ran code of strangers once cannot grow back unseen: the linter of the checks refuses it."""

import shutil
import subprocess

import pytest
from tiny_config import ROOT

RUFF = shutil.which('ruff')
REFUSED = (
    'import torch; torch.load("x", weights_only=True)',
    'from torch import load; load("x")',
    'import torch; torch.hub.load_state_dict_from_url("x")',
    'import pickle; pickle.loads(b"")',
    'from pickle import loads; loads(b"")',
    'import yaml; yaml.load("x", yaml.Loader)',
    'import shutil; shutil.rmtree("x")',
    'from shutil import rmtree; rmtree("x")',
    'import os; os.system("x")',
    'import subprocess; subprocess.run("x", shell=True, check=True)',
    'import mmengine; mmengine.Config.fromstring("x", ".py")',
    'from mmengine.config import Config; Config.fromstring("x", ".py")',
    'from mmengine.fileio import load; load("x.pkl")',
    'from mmengine.runner import load_checkpoint; load_checkpoint(None, "x")',
    'from scipy.io import loadmat; loadmat("x")',
    'import numpy as np; np.load("x", allow_pickle=True)',
    'eval("1")',
    'exec("1")',
)


@pytest.mark.skipif(RUFF is None, reason='ruff is not installed')
@pytest.mark.parametrize('folder', ['mmreid', 'tools', 'benchmarks', 'projects'])
def test_what_runs_code_is_refused(folder):
    # A function for each, so that no name means two things.
    source = ''.join(
        f'def _{number}():\n    {line}\n' for number, line in enumerate((*REFUSED, 'import torch; torch.save({}, "x")'))
    )
    command = [RUFF, 'check', '--output-format', 'concise', '--no-cache', '--stdin-filename']
    done = subprocess.run(
        [*command, f'{folder}/x.py', '-'], input=source, capture_output=True, text=True, cwd=ROOT, check=False
    )
    found = [line.split() for line in done.stdout.splitlines() if line.startswith(f'{folder}/x.py:')]
    lines = {int(place.split(':')[1]) // 2 for place, code, *_ in found if code.startswith(('S', 'TID251'))}
    assert lines == set(range(1, len(REFUSED) + 1)), done.stdout
