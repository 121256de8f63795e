# Copyright (c) mmreid contributors. All rights reserved.
"""The comparison of CM-NAS architectures: its configs, its results file and its table."""

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


def run(row, seed, value, norms, **values):
    return dict(row=row, seed=seed, norms=norms, mAP=value, mINP=1.0, cpu=10.0, wall=20.0) | {'Rank-1': 2.0} | values


def test_small_configs_are_the_shipped_ones_on_a_narrow_network(tmp_path):
    from claim_configs import MANUAL, SEARCH, SEARCHED, small_config

    for name in (*MANUAL.values(), SEARCHED, SEARCH):
        cfg = small_config(name, tmp_path, tmp_path / 'start.pth', seed=3)
        assert cfg.model.type == 'CrossModalReID' and cfg.randomness.seed == 3
        assert cfg.model.backbone.init_cfg.checkpoint == str(tmp_path / 'start.pth')
        assert cfg.train_cfg.type == ('ArchSearchLoop' if name == SEARCH else 'EpochBasedTrainLoop')
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


def test_table_shows_means_over_seeds_and_gains_over_all_shared(tmp_path, norms):
    from claim_report import draw, report

    lines = [run('all shared', 0, 10.0, norms), run('all shared', 1, 20.0, norms)]
    lines += [run('random 1', 0, 11.0, norms), run('random 2', 0, 13.0, norms), run('random 1', 1, 23.0, norms)]
    lines.append(dict(row='search', seed=0, norms=norms, p_split=dict.fromkeys(norms, 0.5), cpu=30.0, wall=20.0))
    order = ['all split', 'all shared', 'random']
    text = report(lines, order, ())
    shared, drawn, cost = (next(line for line in text.splitlines() if name in line[:20]) for name in
                           ('all shared', 'random', 'search / training'))  # fmt: skip
    assert '15.0 ± 7.1' in shared
    assert '17.5 ± 7.8' in drawn and '+2.5 ± 0.7' in drawn
    assert '3.00' in cost and '1.00' in cost
    draw(lines, order, tmp_path / 'image.png')
    assert (tmp_path / 'image.png').stat().st_size > 0
