# Copyright (c) mmreid contributors. All rights reserved.
"""The documentation runs: its shell blocks, page by page, and the files that the pages show.

Each page is followed from its top in a copy of the checkout in which ``tools/quickstart.sh`` has been run, as the
README says to begin with. Two things are other than for a reader: trainings that begin anew run their last epoch only,
so the checkpoints have the documented names but hardly any training; and nothing is installed, because the quickstart
finds an environment that says all is there.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from doc_blocks import PAGES, REASONS, Block, blocks_of
from tiny_config import ROOT

TRANSLATIONS = [ROOT / 'README_zh-CN.md', *sorted((ROOT / 'docs' / 'zh_CN').rglob('*.md'))]
LAST_EPOCH = """

from mmengine.runner import EpochBasedTrainLoop

_run = EpochBasedTrainLoop.run


def _run_last_epoch(loop):
    if loop.epoch == 0:
        loop._epoch = loop.max_epochs - 1
        loop._iter = loop._epoch * len(loop.dataloader)  # as if the others had run
    return _run(loop)


EpochBasedTrainLoop.run = _run_last_epoch
"""
# Gives the quickstart an environment of its own that says that mmreid is installed already.
STAMP = """
source tools/setup_env.sh
MMREID_PY=$VIRTUAL_ENV/bin/python
printf '%s install\\n' "$(mmreid_fingerprint)" > "$VIRTUAL_ENV/.mmreid-installed"
"""


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


def runnable(page: Path) -> list[Block]:
    return [block for block in blocks_of(page) if not block.path and not block.not_run]


def commands(page: Path) -> list[str]:
    """The shell blocks of a page without comments and differences of layout."""
    blocks = [re.sub(r'(^|\s)#.*', '', block.text) for block in blocks_of(page) if not block.path]
    return [' '.join(block.replace('\\\n', ' ').split()) for block in blocks]


@pytest.mark.parametrize('page', PAGES, ids=page_id)
def test_what_is_not_run_says_why(page):
    for block in blocks_of(page):
        if block.not_run:
            reasons = re.split(', ', block.not_run.partition('; ')[0])
            assert set(reasons) <= set(REASONS), block.place
        elif not block.path:
            unused = [old for old in block.values if old not in '\n'.join([block.text, *block.before])]
            assert not unused and '...' not in block.script, block.place
    opened = re.findall(r'^ *`{3,}(bash|sh|shell|console)\b', page.read_text(), re.M)
    assert len(opened) == sum(not block.path for block in blocks_of(page)), 'a block is indented, or is no ```bash'


def test_most_blocks_are_run():
    blocks = [block for page in PAGES for block in blocks_of(page) if not block.path]
    assert sum(not block.not_run for block in blocks) > len(blocks) / 2 > 30


@pytest.mark.parametrize('page', TRANSLATIONS, ids=page_id)
def test_translations_show_the_same_commands(page):
    if page.parent == ROOT:
        assert commands(page) == commands(ROOT / 'README.md')
    else:
        assert set(commands(page)) <= {command for original in PAGES for command in commands(original)}


def run_block(script: str, place: str, folder: Path, **env: str) -> None:
    """Runs a block in a bash of its own, in a copy of the checkout."""
    settings = {name: value for name, value in os.environ.items() if name not in ('PYTHON', 'CONDA_PREFIX')}
    settings |= dict(OMP_NUM_THREADS='1', MPLBACKEND='Agg', CUDA_VISIBLE_DEVICES='', PYTHONPATH=str(folder))
    settings |= dict(PATH=f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}', PIP_NO_INDEX='1', **env)
    done = subprocess.run(
        ['bash', '-c', f'set -euo pipefail\n{script}'],  # noqa: S607  the one of the user, as in a terminal
        cwd=folder,
        env=settings,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors='replace',
        timeout=3600,
        check=False,
    )
    assert done.returncode == 0, f'{place}:\n{script}\n{done.stdout[-6000:]}'


@pytest.fixture(scope='module')
def after_quickstart(tmp_path_factory) -> Path:
    """A copy of the checkout after the README's first command."""
    checkout, env = tmp_path_factory.mktemp('checkout'), tmp_path_factory.mktemp('env')
    listed = ['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard']
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout
    for name in filter(lambda name: (ROOT / name).is_file(), names.split('\0')[:-1]):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, checkout / name)
    with (checkout / 'mmreid' / 'engine' / '__init__.py').open('a') as file:
        file.write(LAST_EPOCH)

    subprocess.run([sys.executable, '-m', 'venv', '--without-pip', env], check=True, timeout=120)
    packages = Path(sysconfig.get_path('purelib', vars=dict(base=str(env))))
    (packages / 'those_of_the_tests.pth').write_text(
        '\n'.join({sysconfig.get_path(kind) for kind in ('purelib', 'platlib')})
    )
    for script in (STAMP, 'SEEDS=0 bash tools/quickstart.sh'):
        run_block(script, 'the quickstart', checkout, VIRTUAL_ENV=str(env))
    return checkout


@pytest.mark.long
@pytest.mark.parametrize('page', [page for page in PAGES if runnable(page)], ids=page_id)
def test_page_can_be_followed(page, after_quickstart, tmp_path):
    checkout = shutil.copytree(after_quickstart, tmp_path / 'mmreid')
    for block in blocks_of(page):
        if block.path:
            (checkout / block.path).parent.mkdir(parents=True, exist_ok=True)
            (checkout / block.path).write_text(block.text)
        elif not block.not_run:
            run_block(block.script, block.place, checkout)
    shutil.rmtree(checkout)
