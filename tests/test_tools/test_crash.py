# Copyright (c) mmreid contributors. All rights reserved.
"""The short form of benchmarks/crash: each kind of state, and each kind of interruption."""

import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from test_tools.benchmark_scripts import scripts_of

pytestmark = [pytest.mark.slow, pytest.mark.dist]
scripts = scripts_of('crash')
DAY = 86400
FAMILIES = ('sharded', 'search', 'plain', 'ema')
CASES = {
    # The second start saves epoch 2 while the clock says that epoch 1 will be saved tomorrow.
    'plain, clock turned back': [
        dict(only=('write', 'epoch_2.pth'), when='within', clock=DAY, zone='Asia/Tokyo'),
        dict(only=('write', 'epoch_3.pth'), when='within', zone='America/Los_Angeles'),
    ],
    'ema, killed before the validation': [dict(only=('replace', 'last_checkpoint'), when='after', at=3)],
    'sharded, killed between a part of the memory and its checkpoint': [
        dict(only=('replace', 'epoch_2.memory-1of2.pth'), when='after', rank=1)
    ],
    'search, killed before the pointer': [dict(only=('replace', 'epoch_2.pth'), when='after')],
    'plain, disk full': [dict(only=('write', 'best_'), full=True)],
    'ema, files limited': [dict(file_size=100_000)],
    'plain, others in the folder': [],
}


@pytest.fixture(scope='module')
def wholes(tmp_path_factory):
    from crash_cases import train_whole
    from crash_families import FAMILIES as ALL
    from crash_families import write_data

    folder = tmp_path_factory.mktemp('crash')
    data = write_data(folder / 'data')
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(FAMILIES, pool.map(lambda name: train_whole(ALL[name], data, folder), FAMILIES), strict=True))


@pytest.fixture(scope='module')
def lines(wholes, tmp_path_factory):
    """What came of each case; they run two at a time."""
    from crash_cases import Case, Fault, play

    def one(name):
        family, _, what = name.partition(', ')
        faults = [Fault(**dict(dict(at=int('only' in fault)), **fault), what=what) for fault in CASES[name]]
        case = Case('operation' if faults else 'pair', family, faults)
        return play(case, wholes[family], tmp_path_factory.mktemp('case') / 'work')

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(CASES, pool.map(one, CASES), strict=True))


@pytest.mark.parametrize('name', CASES)
def test_the_end_is_the_same(lines, name):
    line = lines[name]
    assert line['outcome'] == 'same', line
    if 'killed' in name or 'clock' in name:
        assert line['kills'] == len(CASES[name]) and line['resumed']
    else:
        assert {'full': 'ENOSPC', 'limited': 'EFBIG', 'folder': 'in use'}[name.split()[-1]] in line['said']


def test_other_ends_are_found(wholes, tmp_path):
    from crash_ends import difference

    whole = wholes['ema'].work_dir
    changed = shutil.copytree(whole, tmp_path / 'changed')
    assert difference(changed, whole) is None
    (changed / 'epoch_3.pth.1-00000000.mmreid.tmp').touch()
    assert difference(changed, whole) == 'epoch_3.pth.1-00000000.mmreid.tmp was left'
    (changed / 'epoch_3.pth.1-00000000.mmreid.tmp').unlink()
    for part in ('state_dict', 'ema_state_dict', 'optimizer'):
        checkpoint = torch.load(whole / 'epoch_3.pth', weights_only=True)
        values = checkpoint[part]['state'][0] if part == 'optimizer' else checkpoint[part]
        tensor = next(value for value in values.values() if value.is_floating_point())
        tensor.view(-1)[0] += 1e-6
        torch.save(checkpoint, changed / 'epoch_3.pth')
        assert f'another value of epoch_3.pth.{part}.' in difference(changed, whole)
    shutil.copy(whole / 'epoch_3.pth', changed)
    log = next(changed.glob('*/vis_data/scalars.json'))
    log.write_text(log.read_text().replace('"market1501/mAP": 2', '"market1501/mAP": 3'))
    assert 'another result of the validation of epoch' in difference(changed, whole)
    log.write_text('{"torn": ')
    assert difference(changed, whole) == 'the validation of epoch 1 is missing'
    (changed / 'epoch_2.pth').unlink()
    assert 'it has the checkpoints best_' in difference(changed, whole)
