# Copyright (c) mmreid contributors. All rights reserved.
"""The benchmark of visible-infrared methods: its rows, a small run of each kind and its tables."""

from pathlib import Path

import pytest
from test_tools.benchmark_scripts import scripts_of

scripts = scripts_of('visible_infrared')


def test_rows_differ_in_nothing_but_what_they_name():
    import infrared_configs as configs

    small = {row.name: configs.small_config(row, Path('a'), Path('start.pth'), 3) for row in configs.ROWS}
    base = small['all shared']
    assert base.model.backbone.init_cfg.checkpoint == 'start.pth' and base.randomness.seed == 3
    for name in ('all shared', 'stem to stage 3', 'AGW'):
        plain, augmented = small[name], small[f'{name}, channels']
        assert plain.train_dataloader.dataset.pipeline[-1].type == 'PackReIDInputs'
        assert augmented.train_dataloader.dataset.pipeline[-1].type == 'ModalityViews'
        assert plain.model == augmented.model
    assert small['stem to stage 3'].model.arch == {'*': 'share', 'bn1': 'split', 'layer[123].*': 'split'}
    assert small['AGW'].model.copied_layers == ('conv1', 'bn1')
    assert len(small['CAJ'].train_dataloader.dataset.pipeline[-1].visible) == 2
    for name, cfg in small.items():
        assert (cfg.model.backbone.depth, cfg.model.backbone.base_channels, cfg.model.head.in_channels) == (18, 16, 128)
        cfg.model = base.model
        cfg.train_dataloader.dataset.pipeline = base.train_dataloader.dataset.pipeline
        assert cfg.to_dict() == base.to_dict(), name


def test_tables_show_gains_world_by_world():
    from infrared_configs import ROWS
    from infrared_report import report

    def line(row, seed, value):
        metrics = {'mAP': value, 'mINP': value, 'Rank-1': value}
        return dict(row=row, seed=seed, cpu=60.0, train_seconds=9.0, **metrics)

    values = {'all shared': 30.0, 'AGW': 35.0, 'AGW, channels': 37.5, 'CAJ': 31.0}
    text = report(ROWS, [line(row, seed, value + seed) for row, value in values.items() for seed in (50, 51)])
    cells = {row.split('|')[1].strip(): row.split('|')[6:8] for row in text.splitlines()[:6] if row}
    assert [cell.strip() for cell in cells['AGW, channels']] == ['+7.5 ± 0.0', '+2.5 ± 0.0']
    assert [cell.strip() for cell in cells['CAJ']] == ['+1.0 ± 0.0', '-4.0 ± 0.0']
    assert [cell.strip() for cell in cells['AGW']] == ['+5.0 ± 0.0', '']


@pytest.mark.long
def test_a_row_of_each_kind_trains_and_floors_are_tested(monkeypatch, tmp_path):
    import infrared_configs as configs
    from claims import infrared_worlds
    from claims.floors import FLOORS
    from claims.results import Results
    from infrared_claim import report, run_seed

    for name, value in dict(train_ids=8, test_ids=3, images_per_camera=2).items():
        monkeypatch.setitem(infrared_worlds.PLAN, name, value)
    for name, value in dict(EPOCHS=2, EPOCH=1, WARM_UP=1).items():
        monkeypatch.setattr(infrared_worlds, name, value)
    results, rows = Results(tmp_path / 'results.jsonl', 'tiny'), configs.ROWS[-4:]
    run_seed(0, rows, tmp_path, None, results)
    runs = {line['row']: line for line in results.lines}
    assert runs['floors'].keys() > set(FLOORS)
    assert all(0 <= runs[row.name]['mAP'] <= 100 and runs[row.name]['train_seconds'] > 0 for row in rows)
    assert '\n| CAJ' in report('channels', rows, results.lines)
    assert not list(tmp_path.rglob('*.pth'))
