# Copyright (c) mmreid contributors. All rights reserved.
"""The ECN benchmark: its rows, a small run with generated styles, what it measures and its tables."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from test_tools.benchmark_scripts import scripts_of

from mmreid.models import InvarianceHead

pytestmark = pytest.mark.long

scripts = scripts_of('ecn')


@pytest.fixture
def tiny(monkeypatch):
    """Makes worlds and trainings tiny."""
    import ecn_configs

    for setting in (ecn_configs.SHORT, ecn_configs.LONG):
        monkeypatch.setitem(setting.source_plan, 'train_ids', 8)
        for name, value in dict(train_ids=3, test_ids=2).items():
            monkeypatch.setitem(setting.target_plan, name, value)
        for name, value in dict(epochs=1, embedding=8).items():
            monkeypatch.setitem(setting.__dict__, name, value)
    for name, value in dict(BATCH=8, GAN_EPOCHS=1, GAN_EPOCH=1, GAN_WIDTH=4, GAN_BLOCKS=1).items():
        monkeypatch.setattr(ecn_configs, name, value)
    return ecn_configs


def row_of(configs, name):
    return next(row for row in (*configs.LADDER, *configs.STYLES) if row.name == name)


def test_rows_differ_in_nothing_but_what_they_name():
    import ecn_configs as configs

    roots = dict(source=Path('a'), target=Path('b'), generated=Path('c'))
    small = {
        row.name: configs.small_config(row, roots, Path('start.pth'), 3) for row in (*configs.LADDER, *configs.STYLES)
    }
    whole = small['E+C+N']
    assert whole.model.backbone.init_cfg.checkpoint == 'start.pth' and whole.randomness.seed == 3
    camera = small['E+C']
    assert camera.model.head.invariance.pop('neighbors', 'as published') is None
    learned = small['ECN++']
    assert learned.model.head.invariance.pop('neighbors').type == 'GraphPositivePrediction'
    assert learned.optim_wrapper.pop('graph').modules == ['head.invariance.neighbors']
    learned.optim_wrapper = dict(type='OptimWrapper', **learned.optim_wrapper.model)
    generated = small['E+C+N, StarGAN']
    assert generated.train_dataloader.dataset.datasets[1].pipeline[0].pop('folder') == 'c'
    for cfg in (camera, learned, generated):
        for section in ('model', 'train_dataloader', 'optim_wrapper', 'param_scheduler', 'train_cfg'):
            assert cfg[section] == whole[section]
    on_target = small['supervised on the target'].train_dataloader.dataset
    assert (on_target.type, on_target.data_root) == ('Market1501', 'b')


def test_styles_are_made_and_a_row_trains_on_them(tiny, tmp_path):
    from ecn_runs import draw_people, make_styles, train

    roots = draw_people(tmp_path / 'people', 0, tiny.SHORT)
    made = make_styles(tmp_path / 'gan', roots, 0)
    assert len(list(roots['generated'].glob('*_fake_*.jpg'))) == 3 * 4 * 2 * 3
    assert made['distances'].keys() == {'unchanged', 'color', 'generated'} and min(made['distances'].values()) > 0
    run = train(tmp_path / 'run', row_of(tiny, 'E+C+N, StarGAN'), roots, None, 0)
    assert 0 <= run['mAP'] <= 100 and len(run['epochs']) == 1
    assert 0 <= run['epochs'][0]['other_camera'] <= run['epochs'][0]['precision'] <= 100
    assert not list(tmp_path.rglob('*.pth'))


def test_rows_of_the_long_ladder_start_from_the_source_and_hold_people_out(tiny, tmp_path):
    from ecn_runs import START_FILE, draw_people, train

    roots = draw_people(tmp_path / 'people', 0, tiny.LONG)
    begun = train(tmp_path / 'start', tiny.START, roots, None, 0)
    start = tmp_path / 'start' / START_FILE
    assert start.is_file() and 0 <= begun['mAP'] <= 100
    rows = {row.name: row for row in tiny.LONG_LADDER}
    waiting = [name for name, row in rows.items() if row.waits]
    assert waiting == ['E+N', 'E+C+N', 'ECN++']
    cfg = tiny.small_config(rows['E+C+N'], roots, start, 0)
    parts = [cfg.train_dataloader.dataset.datasets[0], cfg.custom_hooks[-1].dataset]
    assert [part.part for part in parts] == ['train', 'held_out'] and parts[0].folds == parts[1].folds == 4
    assert tiny.small_config(rows['E+C'], roots, start, 0).model.head.invariance.get('neighbor_precision') is None
    run = train(tmp_path / 'run', rows['E+C+N'], roots, start, 0)
    assert run['epochs'][0]['used'] is False  # neighbors come from the sixth epoch at the earliest


def test_neighbors_are_right_where_slots_of_a_person_are_alike():
    from ecn_runs import neighbor_precision

    head = InvarianceHead(in_channels=4, num_classes=2, memory=dict(type='ExemplarMemory', num_slots=12))
    pids = torch.arange(14) // 7  # the first two images are the source's
    head.memory.features = torch.nn.functional.one_hot(pids[2:], 4).float()
    dataset = SimpleNamespace(
        domains=(torch.arange(14) > 1).int().numpy(), target_domain=1, pids=pids.numpy(), camids=torch.zeros(14).numpy()
    )
    head.start_epoch(9)
    runner = SimpleNamespace(model=SimpleNamespace(head=head), train_dataloader=SimpleNamespace(dataset=dataset))
    found = neighbor_precision(runner)
    # Five images of the first person have four others each, and take a fifth from the seven of the second.
    assert found['precision'] == pytest.approx(100 * (5 * 4 + 7 * 5) / 60) and found['other_camera'] == 0
    assert found['used']


def test_tables_show_gains_seed_by_seed():
    from ecn_configs import LADDER, LONG_LADDER, STYLES
    from ecn_report import ladder, long, styles

    def line(row, seed, value):
        epochs = [dict(precision=value, other_camera=1.0)]
        return dict(row=row, seed=seed, cpu=60.0, train_seconds=9.0, epochs=epochs, **{'mAP': value, 'Rank-1': value})

    lines = [line(name, seed, value + seed) for seed in (0, 1) for name, value in (('source only', 10.0), ('E', 14.0))]
    learned = line('ECN++', 0, 3.0)
    learned['epochs'][0].update(chosen=2.0, chosen_precision=60.0, held_precision_gpp=30.0, held_precision_knn=40.0)
    text = ladder(LADDER, [*lines, learned])
    assert '+4.0 ± 0.0' in text and 'ECN++ chooses in the end 2.0 neighbors for an image, 60 % of them right.' in text
    waited = line('E+C+N', 0, 12.0)
    waited['epochs'] = [dict(precision=1.0, used=False), dict(precision=60.0, used=True)]
    text = long(LONG_LADDER, [*lines, waited])
    assert next(row for row in text.splitlines() if row.startswith('| E+C+N')).split('|')[6].strip() == '2'
    made = dict(row='StarGAN', seed=0, cpu=6.0, distances=dict(unchanged=28.0, color=16.0, generated=20.0))
    text = styles(STYLES, [made, line('E+N', 0, 10.0), line('E+C+N, StarGAN', 0, 13.0)])
    assert next(row for row in text.splitlines() if row.startswith('| generated')).split('|')[2].strip() == '20.0'
    assert '+3.0' in text
