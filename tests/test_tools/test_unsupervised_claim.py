# Copyright (c) mmreid contributors. All rights reserved.
"""The benchmark of learning without labels: its rows, a small run of each kind, its tables, and cost of clustering."""

from pathlib import Path

import numpy as np
import pytest
from test_tools.benchmark_scripts import scripts_of

scripts = scripts_of('unsupervised')


def configs_of(weights=None):
    import unsupervised_configs as configs

    roots = dict(source=Path('a'), target=Path('b'))
    return {row.name: configs.small_config(row, roots, weights, 3) for row in configs.ROWS}


def test_rows_share_network_start_steps_and_optimizer():
    small = configs_of(Path('start.pth'))
    base = small['source only']
    for name, cfg in small.items():
        backbone = {key: value for key, value in cfg.model.backbone.items() if key not in ('norm_cfg', 'frozen_stages')}
        assert backbone == base.model.backbone and backbone['init_cfg'].checkpoint == 'start.pth', name
        assert cfg.model.neck.pool.type == 'GeneralizedMeanPooling' and cfg.randomness.seed == 3
        for section in ('optim_wrapper', 'param_scheduler', 'train_cfg', 'test_dataloader', 'test_evaluator'):
            assert cfg[section] == base[section], (name, section)
        assert cfg.test_dataloader.dataset.data_root == 'b'


def test_rows_learn_from_what_they_name():
    small = configs_of()
    roots = {
        name: [part.data_root for part in cfg.train_dataloader.dataset.get('datasets', [cfg.train_dataloader.dataset])]
        for name, cfg in small.items()
    }
    assert roots.pop('source only') == ['a']
    assert {name for name, found in roots.items() if found == ['b']} == {
        'Cluster Contrast, no source', 'SpCL, no source', 'supervised on the target'
    }  # fmt: skip
    assert {name for name, found in roots.items() if found == ['a', 'b']} == {
        'ECN, color statistics', 'Cluster Contrast, with source', 'SpCL, with source'
    }  # fmt: skip
    hooks = {name: {hook['type']: hook for hook in cfg.custom_hooks} for name, cfg in small.items()}
    for method in ('Cluster Contrast', 'SpCL'):
        ours, theirs = (hooks[f'{method}, {how} source']['PseudoLabelHook'] for how in ('no', 'with'))
        assert ours == theirs
    assert small['ECN, color statistics'].train_dataloader.dataset.datasets[1].pipeline[0].type == 'LoadColorStyleImage'


def test_clusters_are_rated_with_and_without_images_in_none():
    from unsupervised_runs import rated

    pids = np.array([7, 7, 7, 8, 8])
    assert rated(np.array([0, 0, 1, 1, -1]), pids) == dict(precision=50.0, recall=25.0, clusters=2, grouped=4)
    assert rated(np.array([0, 0, 1, 1, 2]), pids) == dict(precision=50.0, recall=25.0, clusters=2, grouped=4)


def test_tables_show_gains_world_by_world():
    from claims.floors import FLOORS
    from unsupervised_configs import ROWS
    from unsupervised_report import report

    def line(row, seed, value, **more):
        return dict(row=row, seed=seed, cpu=60.0, train_seconds=9.0, **{'mAP': value, 'Rank-1': value}, **more)

    labels = [dict(clusters=3, grouped=9), dict(clusters=50, grouped=400, precision=80.0, recall=40.0)]
    lines = []
    for seed in (40, 41):
        floors = {name: {'mAP': 10.0 + seed, 'Rank-1': 1.0} for name in FLOORS}
        lines.append(dict(row='floors', seed=seed, cpu=6.0, **floors))
        lines.append(line('source only', seed, 20.0 + seed))
        lines.append(line('SpCL, no source', seed, 24.0 + seed, epochs=labels))
    text = report(ROWS, lines)
    found = next(row for row in text.splitlines() if row.startswith('| SpCL'))
    cells = [cell.strip() for cell in found.split('|')]
    assert cells[5:] == ['+4.0 ± 0.0', '+14.0 ± 0.0', '50 ± 0', '400 ± 0', '80 ± 0', '40 ± 0', '2', '']
    assert '| SpCL, no source | 64.0     | 65.0     |' in text


def test_dense_tables_give_the_same_clusters_and_costs_are_measured():
    import clustering_cost as cost

    features = cost.People(400, 64, 5).images(400, 6)[0]
    ours = cost.WAYS['JaccardDBSCAN'](features)
    assert ours.max() > 5 and np.array_equal(ours, cost.dense(features))
    found = cost.measure('SelfPacedDBSCAN', 200, warm_up=50)
    assert found['seconds'] > 0 and found['mb'] >= 0 and found['clusters'] > 2
    lines = [dict(found, way='JaccardDBSCAN', size=size, seconds=size**2 / 1e6) for size in (1000, 10_000)]
    assert cost.report(lines).splitlines()[-1].split('|')[4].strip() == '2.0'


@pytest.mark.long
def test_a_row_of_each_kind_trains_and_floors_are_tested(monkeypatch, tmp_path):
    import unsupervised_configs as configs
    from claims.floors import FLOORS
    from claims.results import Results
    from unsupervised_claim import report, run_seed

    for plan in (configs.SOURCE_PLAN, configs.TARGET_PLAN):
        monkeypatch.setitem(plan, 'train_ids', 20)
    monkeypatch.setitem(configs.TARGET_PLAN, 'test_ids', 3)
    for name, value in dict(EPOCHS=1, EPOCH=1, BATCH=8).items():
        monkeypatch.setattr(configs, name, value)
    load = configs._load

    def loose(name):  # so that an untrained network finds clusters, and fills a small batch with them
        cfg = load(name)
        cfg.train_dataloader.batch_size = 8
        for hook in cfg.custom_hooks:
            if hook['type'] == 'PseudoLabelHook':
                hook['clustering'].update(eps=0.7, min_samples=2, k1=4)
        return cfg

    monkeypatch.setattr(configs, '_load', loose)
    results = Results(tmp_path / 'results.jsonl', 'tiny')
    run_seed(0, configs.ROWS, tmp_path, None, results)
    runs = {line['row']: line for line in results.lines}
    assert runs['floors'].keys() > set(FLOORS)
    for row in configs.ROWS:
        assert 0 <= runs[row.name]['mAP'] <= 100 and runs[row.name]['train_seconds'] > 0
        assert bool(row.clusters) == ('epochs' in runs[row.name])
    assert len(runs['SpCL, with source']['epochs']) == 1
    assert report('unsupervised', configs.ROWS, results.lines).count('\n| SpCL, with source') == 2
    assert not list(tmp_path.rglob('*.pth'))


def test_clusters_of_two_modalities_are_matched():
    import matching_cost

    pairs, _, _, matches, right = matching_cost.measure(400, 200)
    assert pairs == '400 x 200' and int(matches) > 5 and int(right) > 80
