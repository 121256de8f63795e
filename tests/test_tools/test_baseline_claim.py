# Copyright (c) mmreid contributors. All rights reserved.
"""The baseline benchmark: its rows, a small run of each kind, its floors and tables."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from mmengine.registry import init_default_scope
from test_tools.benchmark_scripts import scripts_of

from mmreid.registry import MODELS
from mmreid.utils.meta_device import meta_device

pytestmark = pytest.mark.long

scripts = scripts_of('baseline')


@pytest.fixture
def tiny(monkeypatch):
    """Makes the world and the trainings tiny."""
    import baseline_configs
    import baseline_runs

    for name, value in dict(train_ids=16, test_ids=6).items():
        monkeypatch.setitem(baseline_configs.PLAN, name, value)
    monkeypatch.setattr(baseline_configs, 'WARM_UP', 1)
    monkeypatch.setattr(baseline_runs, 'TIMED', 3)
    monkeypatch.setattr(baseline_runs, 'SETTLING', 1)
    return baseline_configs


def test_rows_differ_in_nothing_but_what_they_name():
    import baseline_configs as configs

    init_default_scope('mmreid')
    small = {row.name: configs.small_config(row, Path('a'), Path('start.pth'), 3) for row in configs.LOSSES}
    base = small[configs.BASELINE.name]
    assert base.model.backbone.init_cfg.checkpoint == 'start.pth' and base.randomness.seed == 3
    assert base.model.head.loss_cls.type == 'SmoothedCrossEntropyLoss' and base.model.head.loss_metric.margin == 0.3
    assert {name for name, cfg in small.items() if cfg.model.neck != base.model.neck} == {'GeM', 'four parts'}
    same_head = {name for name, cfg in small.items() if cfg.model.head == base.model.head}
    assert same_head == {configs.BASELINE.name, 'GeM'}
    for cfg in small.values():
        head = MODELS.build(dict(cfg.model.head, num_classes=5))
        assert not getattr(head, 'parts', [head])[0].incomplete
        cfg.model['neck'], cfg.model['head'] = base.model.neck, base.model.head
        assert cfg.to_dict() == base.to_dict()


@pytest.mark.parametrize('number', range(11))
def test_backbones_are_about_as_large_and_give_their_channels(number):
    from baseline_configs import BACKBONES

    init_default_scope('mmreid')
    row = BACKBONES[number]
    with meta_device():
        backbone = MODELS.build(row.backbone)
        assert backbone(torch.empty(2, 3, 64, 32))[-1].shape[:2] == (2, row.channels)
    assert 0.1e6 < sum(parameter.numel() for parameter in backbone.parameters()) < 1e6


def test_rows_are_timed_and_trained_and_floors_are_tested(tiny, tmp_path):
    from baseline_runs import draw_people, floors, measure, train
    from claims.floors import FLOORS

    root = draw_people(tmp_path / 'people', 0)
    center = next(row for row in tiny.LOSSES if row.name.endswith('center'))
    row = next(replace(row, head=center.head) for row in tiny.BACKBONES if row.name == 'RegNetX')
    timed = measure(tmp_path / 'time', row, root)
    assert timed['ms'] > 0 and 0.1e6 < timed['parameters'] < 1e6
    run = train(tmp_path / 'run', row, root, None, 0, 2)
    assert run['iterations'] == 2 and run['train_seconds'] > 0 and run['last']['loss'] > 0
    assert run['before'] != {name: run[name] for name in run['before']}  # the norm has changed what is compared
    assert 0 <= run['untrained']['mAP'] <= 100 and run['untrained']['mAP'] != run['mAP']
    assert floors(tmp_path / 'floors', root, None, 0).keys() == set(FLOORS)
    assert not list(tmp_path.rglob('*.pth'))


def test_tables_show_gains_seed_by_seed():
    from baseline_claim import of_table
    from baseline_configs import BACKBONES, BASELINE, LOSSES, RESNET18
    from baseline_report import backbones, losses, time_of

    def line(row, seed, value):
        metrics = {'mAP': value, 'Rank-1': value + 1}
        extra = dict(train_seconds=9.0, iterations=7, untrained=dict(mAP=2.5), before=dict(mAP=value - 20))
        last = dict(acc=50.0, emb_dist=1.25)
        return dict(metrics, row=row.name, definition=repr(row), seed=seed, cpu=60.0, last=last, **extra)

    lines = [line(row, seed, 10.0 * i + seed) for seed in (0, 1) for i, row in enumerate(LOSSES[:2])]
    text = losses(LOSSES, of_table(LOSSES, [*lines, line(BACKBONES[1], 0, 99.0)], [0, 1]))
    first = next(row for row in text.splitlines() if row.startswith('| CE  '))
    assert '-10.0 ± 0.0' in first and '1.25' in first and '99.0' not in text

    timed = dict(row=time_of(RESNET18), definition=repr(RESNET18), seed=0, cpu=6.0, ms=70.4, parameters=717216)
    table = of_table(BACKBONES, [timed, line(RESNET18, 1, 30.0), line(BASELINE, 1, 99.0), line(RESNET18, 0, 88.0)], [1])
    cells = [cell.strip() for cell in backbones(BACKBONES, table).splitlines()[2].split('|')]
    assert cells[1:8] == ['ResNet-18', '0.72', '70', '7', '9', '30.0', '31.0'] and cells[9:12] == ['50', '2.5', '1']
