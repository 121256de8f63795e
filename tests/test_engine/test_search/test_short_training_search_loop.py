# Copyright (c) mmreid contributors. All rights reserved.
"""The search by short trainings: what it finds, what it costs, what it leaves, and how it goes on after a kill."""

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
from tiny_search import short_search_config

from mmreid.engine import ReIDRunner
from mmreid.engine.search import short_training_search_loop as search_module
from mmreid.engine.search.search_report import draw_candidates
from mmreid.utils.arch_io import load_arch

EFFECTS = dict(zip([f'norms.{place}' for place in range(4)], (3.0, -2.0, 0.0, 4.0), strict=True))


class Planted:
    """Stands in for the process of the trainings: scores architectures by known effects and reproducible noise."""

    def __init__(self, job=None, noise=0.3, effects=EFFECTS, killed_after=None):
        self.noise, self.effects, self.killed_after, self.jobs = noise, effects, killed_after, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def __call__(self, cfg, device, folder):
        if self.killed_after == len(self.jobs):
            raise KeyboardInterrupt
        arch, fold = cfg['model']['arch'], cfg['train_dataloader']['dataset']['fold']
        epochs = cfg['train_cfg']['max_epochs']
        self.jobs.append((tuple(arch.values()), epochs, fold))
        rng = np.random.default_rng(zlib.crc32(str([self.jobs[-1], cfg['randomness']]).encode()))
        gain = sum(self.effects[name] for name, state in arch.items() if state == 'split')
        score = 40 + epochs + fold + gain + self.noise * rng.normal()
        return dict(score=score, metrics={'planted/mAP': score}, seconds=1.0)


@pytest.fixture
def search(monkeypatch):
    """Searches with a stand-in for the trainings; draws nothing unless asked to, which takes half of the time."""

    def run(work_dir, planted=None, drawn=False, **changes):
        planted = planted or Planted()
        monkeypatch.setattr(search_module, 'SideProcess', lambda job: planted)
        monkeypatch.setattr(search_module, 'draw_candidates', draw_candidates if drawn else lambda *_: None)
        runner = ReIDRunner.from_cfg(short_search_config(work_dir, **changes))
        runner.train()
        return runner, planted

    return run


def lines(work_dir):
    return [json.loads(line) for line in (Path(work_dir) / 'candidates.jsonl').read_text().splitlines()]


@pytest.mark.parametrize('seed', range(5))
def test_finds_the_planted_architecture(search, work_dir, seed):
    runner, planted = search(work_dir, randomness=dict(seed=seed))
    arch = load_arch(Path(work_dir) / 'arch.json')
    assert {name for name, state in arch.norms.items() if state == 'split'} - {'norms.2'} == {'norms.0', 'norms.3'}
    assert arch.backbone['type'] == 'PlantedNet' and arch.split_probability == {}
    assert len(planted.jobs) == len(set(planted.jobs)) == len(lines(work_dir)) == 16 + 2 * 5


@pytest.mark.parametrize('seed', range(5))
def test_splits_nothing_where_each_split_harms_a_little(search, work_dir, seed):
    search(work_dir, Planted(effects=dict.fromkeys(EFFECTS, -0.3)), randomness=dict(seed=seed))
    assert set(load_arch(Path(work_dir) / 'arch.json').norms.values()) == {'share'}


def test_leaves_files_a_table_and_a_plot(search, work_dir):
    search(work_dir, drawn=True, log_level='INFO')
    files = {path.name for path in Path(work_dir).iterdir() if path.is_file()}
    assert {'arch.json', 'arch_config.py', 'arch.png', 'candidates.png', 'candidates.jsonl'} <= files
    assert 'config.cfg' not in files  # the toy network is no ResNet
    log = ''.join(path.read_text() for path in Path(work_dir).rglob('*.log'))
    assert '| gain over all shared |' in log and '| norms.0 + norms.3 ' in log
    assert '26 short trainings took 144 epochs, 7.20 trainings of 20' in log


def test_a_killed_search_does_the_rest(search, tmp_path):
    whole, killed = tmp_path / 'whole', tmp_path / 'killed'
    search(whole)
    for count in (5, 12):  # in the first round, in the second
        with pytest.raises(KeyboardInterrupt):
            search(killed, Planted(killed_after=count))
    assert not (killed / 'arch.json').exists() and len(lines(killed)) == 17
    _, rest = search(killed)
    assert len(rest.jobs) == 26 - 17
    assert lines(whole) == lines(killed)
    assert (whole / 'arch.json').read_bytes() == (killed / 'arch.json').read_bytes()


def test_results_of_other_settings_are_kept_but_not_used(search, work_dir):
    few = dict(rounds=[dict(epochs=4, folds=1, new=3)])
    search(work_dir, train_cfg=few)
    _, other = search(work_dir, train_cfg=few, randomness=dict(seed=1))
    assert len(other.jobs) == 3 and len(lines(work_dir)) == 6
    # Rounds, workers and ranks are no settings of a training.
    more = dict(rounds=[dict(epochs=4, folds=2, new=3)])
    _, more = search(work_dir, train_cfg=more, train_dataloader=dict(num_workers=1))
    assert len(more.jobs) == 3 and {fold for *_, fold in more.jobs} == {1}
    _, longer = search(work_dir, train_cfg=dict(few, max_epochs=30))  # another schedule
    assert len(longer.jobs) == 3


def test_named_architectures_come_first_and_excluded_ones_never(search, work_dir):
    first = [{'*': 'split', 'norms.3': 'share'}, 'split']
    _, planted = search(
        work_dir, train_cfg=dict(first=first, exclude=[{'*': 'share', 'norms.0': 'split'}],
                                 rounds=[dict(epochs=1, folds=1, new=5)])
    )  # fmt: skip
    archs = [''.join(state[1] for state in arch) for arch, *_ in planted.jobs]
    assert archs[:3] == ['hhhh', 'ppph', 'pppp'] and 'phhh' not in archs and len(archs) == 5


def test_norms_of_no_block_keep_the_state_of_the_model(search, work_dir):
    blocks = dict(_delete_=True, ends=['norms.0', 'norms.3'])
    search(
        work_dir,
        model=dict(arch={'*': 'share', 'norms.1': 'split'}),
        train_cfg=dict(blocks=blocks, rounds=[dict(epochs=1, folds=3, new=2)]),
    )
    assert list(load_arch(Path(work_dir) / 'arch.json').norms.values()) == ['split', 'split', 'share', 'split']


def test_a_failed_training_names_the_architecture(search, work_dir):
    class Failing(Planted):
        def __call__(self, *args):
            raise ValueError('no memory')

    with pytest.raises(RuntimeError, match=r'all shared \(4 epochs, fold 0\) failed: ValueError: no memory'):
        search(work_dir, Failing())


@pytest.mark.parametrize(
    ('train_cfg', 'message'),
    [
        (dict(max_trainings=3), r'up to 144 epochs, 7.20 times the 20 .*max_trainings=3'),
        (dict(rounds=[]), 'rounds .*new=2'),
        (dict(rounds=[dict(epochs=1, folds=1, keep=4)]), 'rounds .*new=2'),
        (dict(rounds=[dict(epochs=1, new=4)]), r'rounds\[0\].*epochs, folds'),
        (dict(rounds=[dict(epochs=1.5, folds=1, new=4)]), r'rounds\[0\].*whole numbers'),
        (dict(rounds=[dict(epochs=0, folds=1, new=4)]), r'rounds\[0\].*trains nothing'),
        (dict(rounds=[dict(epochs=21, folds=1, new=4)]), r'rounds\[0\].*21 epochs.*max_epochs=20'),
        (dict(blocks=dict(_delete_=True, stem='conv1')), "'conv1'.*norms.0"),
        (dict(exclude=['share']), 'exclude .*shares all'),
        (dict(min_errors=-1), 'min_errors=-1'),
    ],
)
def test_refuses_arguments(search, work_dir, train_cfg, message):
    with pytest.raises(ValueError, match=message):
        search(work_dir, train_cfg=train_cfg)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(model=dict(mutator=dict(type='BNMutator'))), 'CrossModalReID with one'),
        (dict(val_dataloader=dict(dataset=dict(part='train'))), "val_dataloader.dataset .*'held_out'.*'train'"),
        (dict(val_dataloader=dict(dataset=dict(seed=1))), r"train_dataloader .*val_dataloader .*'seed': 1"),
        (
            {f'{name}_dataloader': dict(dataset=dict(dataset=dict(num_ids=5))) for name in ('train', 'val')},
            'IdentitySplit .*at least 6 .* has 5',
        ),
    ],
)
def test_refuses_a_config_that_cannot_be_searched(search, work_dir, changes, message):
    with pytest.raises(ValueError, match=message):
        search(work_dir, **changes)


def test_missing_start_weights_end_the_search_before_it_begins(search, work_dir):
    planted = Planted()
    with pytest.raises(RuntimeError, match=r'gone\.pth'):
        search(work_dir, planted, model=dict(init_cfg=dict(type='Pretrained', checkpoint='gone.pth')))
    assert not planted.jobs


def test_refuses_a_damaged_file_of_results(search, work_dir):
    search(work_dir, train_cfg=dict(rounds=[dict(epochs=1, folds=1, new=2)]))
    path = Path(work_dir) / 'candidates.jsonl'
    path.write_text(path.read_text() + '{"arch": \n')
    with pytest.raises(ValueError, match=r'line 3 of .*candidates.jsonl'):
        search(work_dir)
