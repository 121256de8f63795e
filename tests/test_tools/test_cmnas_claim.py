# Copyright (c) mmreid contributors. All rights reserved.
"""The comparison of CM-NAS architectures: its configs, its results file and its table."""

from pathlib import Path

import pytest
from test_tools.benchmark_scripts import scripts_of

from mmreid.models.layers import branch_norms
from mmreid.registry import MODELS

pytestmark = pytest.mark.long

scripts = scripts_of('cmnas')


@pytest.fixture(scope='module')
def norms():
    from claim_configs import manual_norms

    return manual_norms('stem to stage 2')


def run(row, world, training, value, norms, **values):
    line = dict(row=row, seed=world, training=training, norms=norms, mAP=value, mINP=1.0, cpu=10.0, wall=20.0)
    return line | {'Rank-1': 2.0} | values


def test_small_configs_are_the_shipped_ones_on_a_narrow_network(tmp_path):
    from claim_configs import GRADIENT, MANUAL, SEARCH, SEARCHED, small_config

    loops = {GRADIENT: 'ArchSearchLoop', SEARCH: 'ShortTrainingSearchLoop'}

    for name in (*MANUAL.values(), SEARCHED, *loops):
        cfg = small_config(name, tmp_path, tmp_path / 'start.pth', seed=3)
        assert cfg.model.type == 'CrossModalReID' and cfg.randomness.seed == 3
        assert cfg.model.backbone.init_cfg.checkpoint == str(tmp_path / 'start.pth')
        assert cfg.train_cfg.type == loops.get(name, 'EpochBasedTrainLoop')
    assert len(branch_norms(MODELS.build(cfg.model.backbone))) == 21


def test_manual_rows_split_what_their_names_say(norms):
    from claim_configs import manual_norms

    split = {name for name, state in norms.items() if state == 'split'}
    assert split == {name for name in norms if name.split('.')[0] in ('bn1', 'layer1', 'layer2')}
    assert set(manual_norms('all shared').values()) == {'share'}
    assert set(manual_norms('all split').values()) == {'split'}


def test_random_architectures_split_as_many_norms_elsewhere(norms):
    from claim_configs import random_norms

    first, again, second = (random_norms(norms, seed=0, number=number) for number in (0, 0, 1))
    assert first == again != second
    for drawn in (first, second):
        assert drawn != norms and list(drawn) == list(norms)
        assert sorted(drawn.values()) == sorted(norms.values())
    with pytest.raises(ValueError, match='norms .* split;'):
        random_norms(dict.fromkeys(norms, 'split'), seed=0, number=0)


def test_manual_architectures_are_candidates_of_the_search(norms):
    from claim_configs import SEARCH, SEARCHES, manual_archs, small_config

    from mmreid.engine.search.arch_space import ArchSpace
    from mmreid.engine.search.search_rounds import read_rounds

    cfg = small_config(SEARCH, tmp := Path('people'), tmp / 'start.pth', seed=0).train_cfg
    space = ArchSpace(cfg.blocks, dict.fromkeys(norms, 'share'))
    assert len({space.read(arch) for arch in manual_archs()}) == 9
    assert len(read_rounds(cfg.rounds, space, cfg.max_epochs, cfg.max_trainings)) == 3
    longer = dict(cfg, **{key.rpartition('.')[2]: value for key, value in SEARCHES['searched, longer'][1].items()})
    rounds = read_rounds(longer['rounds'], space, cfg.max_epochs, longer['max_trainings'])
    assert rounds[2].folds == 8


def test_simulated_searches_find_what_is_much_better_and_only_that():
    from search_simulation import ARCHS, SHARED, search

    rounds = [
        dict(new=16, epochs=6, folds=1),
        dict(keep=4, new=1, epochs=12, folds=1),
        dict(keep=2, epochs=32, folds=2),
    ]
    worths = {arch: 20.0 * arch[0] - 20.0 * arch[1] for arch in ARCHS}
    for compare in (True, False):
        found = search(rounds, worths, 0, compare, 2.5)
        assert found[:2] == (True, False)
    wrong = [
        sum(search(rounds, dict.fromkeys(ARCHS, 0.0), seed, compare, 2.5) != SHARED for seed in range(400))
        for compare in (True, False)
    ]
    assert wrong[0] < wrong[1] < 60


def test_the_same_architecture_is_trained_once(tmp_path, norms, monkeypatch):
    import claim
    from claims.results import Results

    monkeypatch.setattr(claim, 'make_world', lambda folder, seed: folder)
    results = Results(tmp_path / 'results.jsonl', 'settings')
    results.add(7, 'stem to stage 2', training=1, norms=norms, mAP=40.0, cpu=10.0, wall=20.0)
    world = claim.World(7, [1], tmp_path, tmp_path / 'start.pth', results)
    monkeypatch.setattr(world, 'search', lambda row: norms)
    world.run('searched')
    line = results.find(7, 'searched', training=1)
    assert line['mAP'] == 40.0 and line['same_as'] == 'stem to stage 2'


def test_tables_compare_pairs_of_world_and_seed(tmp_path, norms):
    from claim_report import differences, draw, group, report

    values = {'all shared': (10, 12, 20, 24), 'stem to stage 3': (11, 14, 21, 25), 'searched': (13, 13, 25, 25)}
    pairs = [(10, 0), (10, 1), (11, 0), (11, 1)]
    lines = [run(row, *pair, float(v), norms) for row, of in values.items() for pair, v in zip(pairs, of, strict=True)]
    lines.append(run('random', 10, 0, 12.0, norms))
    lines.append(dict(row='search of searched', seed=10, norms=norms, p_split={}, cpu=30.0, wall=20.0))
    order = ['all shared', 'stem to stage 3', 'random', 'searched']
    rows = group(lines, order)
    assert differences(rows['searched'], rows['stem to stage 3']) == [0.5, 2.0]
    assert differences(rows['searched'], rows['random']) == [1.0]  # only the pair that both have
    text = report(lines, order, ())
    shared, cost = (next(line for line in text.splitlines() if name in line[:25]) for name in
                    ('all shared', 'search of searched'))  # fmt: skip
    assert '16.5 ± 7.8' in shared
    # 1.25 on average, standard deviation 1.06, Student's factor for two values 12.7
    assert '+1.2 (-8.3 to +10.8)' in text and ' 30 ' in cost
    draw(lines, order, tmp_path / 'image.png')
    assert (tmp_path / 'image.png').stat().st_size > 0
