# Copyright (c) mmreid contributors. All rights reserved.
"""Prints the environment, and whether it holds one of the traps that are known to break mmreid.

Run ``python -m mmreid.utils.collect_env``. It works where ``import mmreid`` fails, because each fact and each check
stands alone. The exit code is 1 if mmreid cannot work.
"""

import importlib
import io
import os
import platform
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import distributions
from pathlib import Path
from typing import NamedTuple

from mmreid.utils.import_guard import BOUNDS, check_dependency
from mmreid.version import __version__

__all__ = ['TRAPS', 'Finding', 'Trap', 'TrapError', 'check_traps', 'collect_env', 'main']

_ROOT = Path(__file__).resolve().parents[2]

# Shown in this order; `mmcv` and OpenCV each come under several names.
_DISTRIBUTIONS = (
    'torch',
    'torchvision',
    'numpy',
    'opencv-python',
    'opencv-python-headless',
    'opencv-contrib-python',
    'opencv-contrib-python-headless',
    'mmengine',
    'mmcv',
    'mmcv-lite',
    'mmpretrain',
    'setuptools',
)

# Rows of MMEngine's own report that add something to ours.
_FROM_MMENGINE = ('CUDA available', 'GPU', 'CUDA_HOME', 'NVCC', 'GCC', 'MSVC')


class TrapError(Exception):
    """Raised by a check that finds its trap; the message says what was found."""


class Trap(NamedTuple):
    """Something known to go wrong in an environment.

    Attributes:
        name (str): What has to hold, in a few words.
        check (Callable): Returns a short detail where all is well, raises where it is not.
        remedy (str): What to do, in one line.
        hard (bool): Whether mmreid cannot work without it. Defaults to True.
    """

    name: str
    check: Callable[[], str]
    remedy: str
    hard: bool = True


class Finding(NamedTuple):
    """The outcome of one check.

    Attributes:
        trap (Trap): What was checked.
        passed (bool): Whether all is well.
        detail (str): What was found.
    """

    trap: Trap
    passed: bool
    detail: str

    @property
    def result(self) -> str:
        """str: ``pass``, ``FAIL``, or ``warn`` for what mmreid can do without."""
        if self.passed:
            return 'pass'
        return 'FAIL' if self.trap.hard else 'warn'


def collect_env() -> dict[str, str]:
    """Collects the versions of mmreid's dependencies, and facts about the machine.

    Returns:
        dict[str, str]: Name and value of each fact, in the order to show them.
    """
    installed = _installed()
    env = {
        'OS': platform.platform(),
        'CPU count': str(os.cpu_count()),
        'Python': sys.version.replace('\n', ''),
        'mmreid': f'{__version__}+{git_commit()}',
    }
    for name in _DISTRIBUTIONS:
        if name in installed:
            env[name] = installed[name]
    try:
        from mmengine.utils.dl_utils import collect_env as collect_mmengine_env

        theirs = collect_mmengine_env()
    except Exception as error:  # a report must not stop at a broken package
        theirs = {'CUDA available': f'unknown ({_one_line(error)})'}
    env.update((key, str(value)) for key, value in theirs.items() if key.startswith(_FROM_MMENGINE))
    return env


def check_traps(traps: Sequence[Trap] | None = None) -> list[Finding]:
    """Runs the checks, each on its own.

    Args:
        traps (Sequence[Trap], optional): Defaults to all of :data:`TRAPS`.

    Returns:
        list[Finding]: One for each trap.
    """
    findings = []
    for trap in TRAPS if traps is None else traps:
        try:
            findings.append(Finding(trap, True, trap.check()))
        except Exception as error:  # whatever a broken package raises is the finding
            findings.append(Finding(trap, False, _one_line(error)))
    return findings


def main() -> int:
    """Prints the report.

    Returns:
        int: Exit code, 1 if a hard check failed.
    """
    warnings.simplefilter('ignore')  # what the imported packages say about each other would bury the report
    _print_table([('Environment', ''), *collect_env().items()])
    findings = check_traps()
    _print_table([('Check', 'Result', 'Found'), *((f.trap.name, f.result, f.detail) for f in findings)])
    for finding in findings:
        if not finding.passed:
            print(f'{finding.result}: {finding.trap.name}: {finding.trap.remedy}')
    failed = sum(finding.result == 'FAIL' for finding in findings)
    print(f'{failed} of {len(findings)} checks failed.' if failed else 'mmreid can run in this environment.')
    return int(failed > 0)


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    """Prints rows; the first is the heading."""
    try:
        from terminaltables import AsciiTable
    except ImportError:
        print('\n'.join(' | '.join(row) for row in rows))
    else:
        print(AsciiTable([list(row) for row in rows]).table)


def _one_line(error: Exception, width: int = 100) -> str:
    """Shortens an error to its kind and the first line of its message."""
    text = str(error).strip().partition('\n')[0]
    if not isinstance(error, TrapError | ImportError):
        text = f'{type(error).__name__}: {text}'
    return text if len(text) <= width else text[: width - 3] + '...'


def _installed() -> dict[str, str]:
    """Lists the version of each installed distribution by its name, in lower case with dashes."""
    names = ((dist.metadata['Name'], dist.version) for dist in distributions())
    return {name.lower().replace('_', '-'): version for name, version in names if name}


def git_commit() -> str:
    """Returns the short hash of the checkout that holds this file, or ``no git``."""
    if not (_ROOT / '.git').exists() or shutil.which('git') is None:
        return 'no git'
    command = ['git', '-C', str(_ROOT), 'rev-parse', '--short', 'HEAD']
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  a list of our own words
    return done.stdout.strip() if done.returncode == 0 else 'no git'


def _dependencies() -> str:
    return ', '.join(f'{bound.module} {check_dependency(bound)}' for bound in BOUNDS)


def _imports(module: str) -> Callable[[], str]:
    def check() -> str:
        importlib.import_module(module)
        return 'imports'

    return check


def _torchvision_ops() -> str:
    import torch
    from torchvision.ops import nms

    nms(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.ones(1), 0.5)
    return 'torchvision::nms runs'


def _numpy_torch() -> str:
    import numpy as np
    import torch

    return f'round trip of {torch.from_numpy(np.ones(2)).numpy().dtype}'


def _checkpoint_loads() -> str:
    import torch
    from mmengine.logging import HistoryBuffer

    from mmreid.utils.compat import register_safe_globals

    register_safe_globals()
    file = io.BytesIO()
    torch.save({'message_hub': {'log_scalars': {'loss': HistoryBuffer([1.0], [1])}}}, file)
    file.seek(0)
    torch.load(file, weights_only=True)  # noqa: TID251  a buffer of our own
    return 'log history loads with weights_only=True'


def _weights_only_forced_off() -> str:
    if os.environ.get('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '').lower() in ('1', 'y', 'yes', 'true'):
        raise TrapError('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD is set')
    return 'on'


def _configs_found() -> str:
    content = Path(__file__).resolve().parents[1] / '.mim'
    if not (content / 'model-index.yml').is_file() or not (content / 'configs').is_dir():
        raise TrapError('mmreid/.mim has no configs')
    return 'mmreid:: paths resolve'


def _one_owner(*names: str) -> Callable[[], str]:
    def check() -> str:
        found = sorted(set(names) & set(_installed()))
        if len(found) > 1:
            raise TrapError(f'{" and ".join(found)} are both installed')
        return ', '.join(found) or 'none'

    return check


def _gloo() -> str:
    import torch.distributed as dist

    if not dist.is_available() or not dist.is_gloo_available():
        raise TrapError('this torch is built without gloo')
    return 'available'


def _gpu_visible() -> str:
    import torch

    if torch.cuda.is_available():
        return f'{torch.cuda.device_count()} x {torch.cuda.get_device_name(0)}'
    if shutil.which('nvidia-smi') and subprocess.run(['nvidia-smi', '-L'], capture_output=True, check=False).stdout:  # noqa: S607  it has no fixed place
        raise TrapError('nvidia-smi lists a GPU, torch sees none')
    return 'no NVIDIA GPU here'


def _omp_threads() -> str:
    threads, cores = os.environ.get('OMP_NUM_THREADS'), os.cpu_count() or 1
    if threads is None and cores > 8:
        raise TrapError(f'OMP_NUM_THREADS is unset, {cores} cores')
    return f'OMP_NUM_THREADS={threads or "unset"}, {cores} cores'


def _shared_memory() -> str:
    folder = Path('/dev/shm')  # noqa: S108  only its size is read
    if not folder.is_dir():
        return 'not used on this system'
    size = shutil.disk_usage(folder).total / 2**20
    if size < 256:
        raise TrapError(f'/dev/shm has {size:.0f} MB')  # noqa: S108  only its size is read
    return f'/dev/shm has {size:.0f} MB'  # noqa: S108  only its size is read


def _weights_folder() -> str:
    from torch.hub import get_dir

    folder = Path(get_dir()) / 'checkpoints'
    found = len(list(folder.glob('*.pth')))
    if not found:
        raise TrapError(f'no weights in {folder}')
    return f'{found} files in {folder}'


_REINSTALL = 'in a checkout of mmreid run `pip install -e ".[lite]"`'

TRAPS = (
    Trap('mmengine, mmcv, mmpretrain in bounds', _dependencies, _REINSTALL),
    Trap('mmcv imports', _imports('mmcv'), 'run `pip install mmcv-lite`; if libGL is missing, install libgl1'),
    Trap('pkg_resources (mmengine)', _imports('pkg_resources'), 'run `pip install "setuptools<82"`'),
    Trap('distutils (mmengine)', _imports('distutils'), 'run `pip install "setuptools<82"`'),
    Trap('torchvision matches torch', _torchvision_ops, 'install both in one command: `pip install torch torchvision`'),
    Trap('numpy works with torch', _numpy_torch, 'run `pip install -U torch torchvision numpy`'),
    Trap('mmpretrain imports', _imports('mmpretrain.models'), _REINSTALL),
    Trap('checkpoints load safely', _checkpoint_loads, 'run `pip install "mmengine>=0.10.7,<0.11" "torch>=2.6"`'),
    Trap('mmreid:: configs', _configs_found, 'install mmreid; a checkout on PYTHONPATH has none', hard=False),
    Trap('weights_only', _weights_only_forced_off, 'unset the variable: files could run code when loaded', hard=False),
    Trap(
        'one OpenCV',
        _one_owner(*(name for name in _DISTRIBUTIONS if name.startswith('opencv'))),
        'all own the folder cv2/: uninstall all of them, then `pip install opencv-python`',
        hard=False,
    ),
    Trap(
        'one mmcv',
        _one_owner('mmcv', 'mmcv-lite'),
        'both own the folder mmcv/: uninstall both, then install the one you want',
        hard=False,
    ),
    Trap('gloo', _gloo, 'several processes on CPU need it: install torch from PyPI', hard=False),
    Trap('GPU visible to torch', _gpu_visible, 'install a torch built for the CUDA version of your driver', hard=False),
    Trap('threads', _omp_threads, 'processes that share cores slow each other: set OMP_NUM_THREADS=1', hard=False),
    Trap('shared memory', _shared_memory, 'in Docker pass --shm-size=2g, or set num_workers=0', hard=False),
    Trap(
        'ImageNet weights',
        _weights_folder,
        'fetched at the first training; offline, put the file there or set model.backbone.init_cfg=None',
        hard=False,
    ),
)

if __name__ == '__main__':
    sys.exit(main())
