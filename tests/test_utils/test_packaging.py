# Copyright (c) mmreid contributors. All rights reserved.
"""What pip installs, and that ``mmreid::...`` configs are found in it.

A copy of the project is installed in a separate folder, so the checkout does not change.
"""

import json
import os
import shutil
import subprocess
import sys
from email import message_from_string
from pathlib import Path

import cv2
import numpy as np
import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]

METAFILE = """
Models:
  - Name: toy
    Config: configs/toy_method/toy.py
"""

# Runs without the checkout and without PYTHONPATH, so that only the installed package can be imported.
RESOLVE = """
import json, sys, warnings
warnings.simplefilter('ignore')
import mmreid
from mmengine.config import Config
from mmengine.hub import get_config
from mmreid.apis import list_models
listed = get_config('mmreid::toy_method/toy.py')
unlisted = get_config('mmreid::_base_/toy_runtime.py')
inherited = Config.fromfile('child.py')
print(json.dumps(dict(
    package=mmreid.__file__, listed=listed.filename, value=listed.value, unlisted=unlisted.value,
    inherited=[inherited.value, inherited.extra], names=list_models())))
"""


def run(*command: str, cwd: Path, **env: str) -> str:
    """Runs a command without network and returns what it prints."""
    settings = {**os.environ, 'PIP_NO_INDEX': '1', 'PIP_DISABLE_PIP_VERSION_CHECK': '1', **env}
    settings.pop('PIP_CONSTRAINT', None)  # its path may be relative to the checkout; nothing is downloaded here
    done = subprocess.run(command, cwd=cwd, env=settings, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope='module')
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the files that a build reads, with one small model in place of the real configs."""
    copy = tmp_path_factory.mktemp('project')
    for name in ('setup.py', 'pyproject.toml', 'MANIFEST.in', 'LICENSE', 'README.md'):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, copy)
    for name in ('mmreid', 'requirements'):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns('__pycache__', '.mim'))
    (copy / 'tools').mkdir()
    (copy / 'tools' / 'train.py').write_text('import sys, mmreid\nprint(__name__, *sys.argv)\n')
    for name, content in {
        '_base_/toy_runtime.py': 'value = 1\n',
        'toy_method/toy.py': "_base_ = '../_base_/toy_runtime.py'\nvalue = 2\n",
        'toy_method/metafile.yml': METAFILE,
    }.items():
        path = copy / 'configs' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (copy / 'model-index.yml').write_text('Import:\n  - configs/toy_method/metafile.yml\n')
    return copy


def resolve(folder: Path, *options: str, head: str = '', **env: str) -> dict:
    """Resolves the small model's configs in a new process, run in ``folder``."""
    (folder / 'child.py').write_text("_base_ = 'mmreid::toy_method/toy.py'\nextra = 3\n")
    return json.loads(run(sys.executable, *options, '-c', head + RESOLVE, cwd=folder, **env).splitlines()[-1])


@pytest.mark.long
@pytest.mark.slow
def test_configs_resolve_in_a_wheel(project: Path, tmp_path: Path):
    pip = (sys.executable, '-m', 'pip')
    run(*pip, 'wheel', '-q', '--no-deps', '--no-build-isolation', '-w', str(tmp_path), '.', cwd=project)
    (wheel,) = tmp_path.glob('mmreid-*.whl')
    target = tmp_path / 'installed'
    run(*pip, 'install', '-q', '--no-deps', '--target', str(target), str(wheel), cwd=tmp_path)

    content = target / 'mmreid' / '.mim'
    assert sorted(path.name for path in content.iterdir()) == ['configs', 'model-index.yml', 'tools']
    assert not any(path.is_symlink() for path in content.iterdir())

    found = resolve(tmp_path, PYTHONPATH=str(target))
    assert found['package'] == str(target / 'mmreid' / '__init__.py')
    assert found['listed'] == str(content / 'configs' / 'toy_method' / 'toy.py')
    assert (found['value'], found['unlisted'], found['inherited']) == (2, 1, [2, 3])
    assert found['names'] == ['toy']
    command = (sys.executable, str(target / 'bin' / 'mmreid'))
    assert run(*command, '--help', cwd=tmp_path, PYTHONPATH=str(target)).startswith('usage: mmreid')
    told = run(*command, 'train', 'toy.py', '--amp', cwd=tmp_path, PYTHONPATH=str(target))
    assert told.splitlines()[-1] == '__main__ mmreid train toy.py --amp'
    check_requirements(next(target.glob('mmreid-*.dist-info')))


# Uses the built-in model as after `pip install`: no checkout, no network, no other file.
USE_BUILT_IN = """
import json, socket, warnings
warnings.simplefilter('ignore')
socket.socket.connect = None
import numpy as np
import mmreid
from mmreid.apis import ReIDInferencer, list_models
(name,) = [name for name in list_models() if name.startswith('bot_osnet') and 'procedural' in name]
image = np.random.default_rng(0).integers(0, 255, (64, 32, 3), np.uint8)
features = ReIDInferencer(f'mmreid::{name}', device='cpu').extract(image, channel_order='bgr')
print(json.dumps(dict(package=mmreid.__file__, name=name, features=features[0].tolist())))
"""


@pytest.mark.long
@pytest.mark.slow
def test_a_wheel_and_an_sdist_bring_the_built_in_model(project: Path, tmp_path: Path):
    copy = shutil.copytree(project, tmp_path / 'project', symlinks=True)
    shutil.rmtree(copy / 'configs')
    shutil.rmtree(copy / 'tools')
    for name in ('configs', 'tools'):
        shutil.copytree(ROOT / name, copy / name)
    shutil.copy(ROOT / 'model-index.yml', copy)
    script = 'import sys; from setuptools import build_meta; print(build_meta.build_sdist(sys.argv[1]))'
    run(sys.executable, '-c', script, str(tmp_path), cwd=copy)
    (sdist,) = tmp_path.glob('mmreid-*.tar.gz')
    pip = (sys.executable, '-m', 'pip')
    run(*pip, 'wheel', '-q', '--no-deps', '--no-build-isolation', '-w', str(tmp_path), str(sdist), cwd=tmp_path)
    (wheel,) = tmp_path.glob('mmreid-*.whl')
    target = tmp_path / 'installed'
    run(*pip, 'install', '-q', '--no-deps', '--target', str(target), str(wheel), cwd=tmp_path)

    found = json.loads(run(sys.executable, '-c', USE_BUILT_IN, cwd=tmp_path, PYTHONPATH=str(target)).splitlines()[-1])
    assert found['package'] == str(target / 'mmreid' / '__init__.py')
    installed, ours = (root / 'mmreid' / 'apis' / 'builtin' / found['name'] for root in (target, ROOT))
    assert sorted((path.name, path.read_bytes()) for path in installed.iterdir()) == sorted(
        (path.name, path.read_bytes()) for path in ours.iterdir()
    )
    assert len(found['features']) == 128 and max(found['features']) > 0
    use_commands((sys.executable, str(target / 'bin' / 'mmreid')), found['name'], tmp_path / 'elsewhere', str(target))


def use_commands(command: tuple[str, ...], name: str, folder: Path, installed: str) -> None:
    """Extracts and searches with the scripts that the wheel brought, in a folder that is no checkout."""
    (folder / 'people').mkdir(parents=True)
    for number in range(3):
        image = np.random.default_rng(number).integers(0, 255, (64, 32, 3), np.uint8)
        cv2.imwrite(str(folder / 'people' / f'{number}.png'), image)
    model = f'mmreid::{name}'

    def mmreid(*arguments: str) -> str:
        return run(*command, *arguments, cwd=folder, PYTHONPATH=installed)

    mmreid('extract', model, 'people', '--out', 'a.npz', '--device', 'cpu')
    assert np.load(folder / 'a.npz')['features'].shape == (3, 128)
    mmreid('search', model, '--query', 'people/0.png', '--gallery', 'people', '--out', 'found', '--device', 'cpu')
    assert len((folder / 'found' / 'ranked.csv').read_text().splitlines()) == 3
    assert 'torch' in mmreid('env')
    for script in ('train', 'test', 'export', 'publish'):
        assert mmreid(script, '--help').startswith(f'usage: mmreid {script}')


def check_requirements(dist_info: Path) -> None:
    """Checks that a plain installation brings everything but mmcv, which may be either distribution."""
    metadata = message_from_string((dist_info / 'METADATA').read_text(encoding='utf-8'))
    required = [Requirement(line) for line in metadata.get_all('Requires-Dist')]
    plain = {requirement.name for requirement in required if requirement.marker is None}
    assert {'mmengine', 'mmpretrain', 'torch', 'torchvision', 'numpy', 'setuptools'} <= plain
    assert not plain & {'mmcv', 'mmcv-lite', 'mmcv-full', 'opencv-python-headless'}
    assert {'lite', 'export', 'optional', 'tests', 'docs', 'all'} <= set(metadata.get_all('Provides-Extra'))
    assert [r.name for r in required if r.marker and r.marker.evaluate({'extra': 'lite'})] == ['mmcv-lite']
    assert next(r for r in required if r.name == 'setuptools').specifier.contains('81.0.0')
    assert not next(r for r in required if r.name == 'setuptools').specifier.contains('82.0.0')


@pytest.mark.long
@pytest.mark.slow
def test_configs_resolve_in_an_editable_install(project: Path, tmp_path: Path):
    target = tmp_path / 'site'
    script = 'import sys; from setuptools import build_meta; print(build_meta.build_editable(sys.argv[1]))'
    run(sys.executable, '-c', script, str(tmp_path), cwd=project)
    (wheel,) = tmp_path.glob('mmreid-*.whl')
    run(sys.executable, '-m', 'pip', 'install', '-q', '--no-deps', '--target', str(target), str(wheel), cwd=tmp_path)

    links = {path.name: path.resolve() for path in (project / 'mmreid' / '.mim').iterdir()}
    assert links['configs'] == (project / 'configs').resolve()

    # The working directory is searched first, and holds a clone: a folder with our name that is not a package.
    (tmp_path / 'mmreid' / 'configs').mkdir(parents=True)
    # `-S` leaves out the .pth files of this environment, where mmreid itself may be installed editable.
    libraries = os.pathsep.join([str(target), *(path for path in sys.path if path and Path(path) != ROOT)])
    found = resolve(tmp_path, '-S', head=f'import site; site.addsitedir({str(target)!r})', PYTHONPATH=libraries)
    assert found['package'] == str(project / 'mmreid' / '__init__.py')
    assert (found['value'], found['unlisted'], found['inherited']) == (2, 1, [2, 3])
    assert found['names'] == ['toy']

    (project / 'configs' / '_base_' / 'toy_runtime.py').write_text('value = 10\n')
    assert (project / 'mmreid' / '.mim' / 'configs' / '_base_' / 'toy_runtime.py').read_text() == 'value = 10\n'


def test_model_index_names_files_that_mmengine_can_read():
    from mmengine.fileio import load

    for name in load(ROOT / 'model-index.yml')['Import']:
        metafile = ROOT / name
        assert metafile.is_file(), f'model-index.yml imports {name}, which does not exist'
        for model in load(metafile)['Models']:
            assert model['Config'].startswith('configs/') and (ROOT / model['Config']).is_file(), model
