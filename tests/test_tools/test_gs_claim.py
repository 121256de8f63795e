# Copyright (c) mmreid contributors. All rights reserved.
"""The graph sampling benchmarks: their rows, a small run of each kind, their measurements and tables."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from test_tools.benchmark_scripts import scripts_of

pytestmark = pytest.mark.long

scripts = scripts_of('gs')


@pytest.fixture
def tiny(monkeypatch):
    """Makes worlds and trainings tiny."""
    import gs_configs

    for name, value in dict(train_ids=6, test_ids=3).items():
        monkeypatch.setitem(gs_configs.PLAN, name, value)
    for name, value in dict(WARM_UP=1, EPOCH=2, EPOCHS=2, SHORT_EPOCH=1, SHORT_EPOCHS=1).items():
        monkeypatch.setattr(gs_configs, name, value)
    return gs_configs


def line(row, seed, value, epochs, seconds=10.0):
    metrics = dict.fromkeys(('default', 'beach', 'other'), {'mAP': value, 'Rank-1': value + 1})
    return dict(row=row, seed=seed, cpu=60.0, train_seconds=seconds, epochs=epochs, **metrics)


def test_rows_differ_in_nothing_but_what_they_name():
    from gs_configs import DOMAINS, GS, MEMORIES, PK, small_config

    roots = dict.fromkeys(DOMAINS, Path('people'))
    gs, pk, memory = (small_config(row, roots, Path('start.pth'), 3) for row in (GS, PK, MEMORIES[1]))
    assert any(hook['type'] == 'GraphSamplingHook' for hook in gs.custom_hooks)
    assert not any(hook['type'] == 'GraphSamplingHook' for hook in pk.custom_hooks)
    assert gs.train_dataloader.sampler.pop('warmup') == 1 and pk.train_dataloader.sampler.pop('warmup') == 4
    pk.custom_hooks = gs.custom_hooks
    assert gs.to_dict() == pk.to_dict()
    assert memory.model.head.loss_score is None and memory.model.head.loss_memory.type == 'ClassMemoryLoss'
    for cfg in (gs, memory):
        assert cfg.model.backbone.init_cfg.checkpoint == 'start.pth' and cfg.randomness.seed == 3


def test_a_row_of_each_kind_trains_and_floors_are_tested(tiny, tmp_path):
    from claims.floors import FLOORS
    from gs_runs import draw_people, floors, train

    roots = draw_people(tmp_path / 'people', 0, tiny.GS.size)
    gs = train(tmp_path / 'gs', replace(tiny.GS, batch=16), roots, None, 0)
    assert [epoch['iterations'] for epoch in gs['epochs']] == [2, 2] and gs['train_seconds'] > 0
    assert all(0 < epoch['doubles'] <= 100 and epoch['loss'] > 0 for epoch in gs['epochs'])
    memory = train(tmp_path / 'memory', replace(tiny.MEMORIES[1], batch=16), roots, None, 0)
    assert {'mAP', 'seconds', 'iterations'} <= memory['epochs'][-1].keys()
    assert 0 <= memory['beach']['mAP'] <= 100
    assert floors(tmp_path / 'floors', roots, None, 0, tiny.GS.size).keys() == set(FLOORS)
    assert not list(tmp_path.glob('*/*.pth'))


def test_published_rows_train_with_the_published_optimizer_and_part_after_the_first_epochs(tiny, tmp_path, monkeypatch):
    from gs_runs import draw_people, train

    for name, value in dict(PUBLISHED_EPOCHS=3).items():
        monkeypatch.setattr(tiny, name, value)
    pk, gs = (replace(row, batch=8, pk_epochs=1) for row in tiny.PUBLISHED)
    roots = draw_people(tmp_path / 'people', 0, gs.size)
    cfg = tiny.small_config(gs, roots, None, 0)
    assert cfg.optim_wrapper.matcher.clip_grad.max_norm == cfg.optim_wrapper.model.clip_grad.max_norm == 8.0
    assert cfg.model.backbone_norm_eval and cfg.model.matcher.size == (8, 4)
    runs = [train(tmp_path / row.name, row, roots, None, 0) for row in (pk, gs)]
    first, second = (run['epochs'] for run in runs)
    assert len(first) == len(second) == 3 and first[0]['loss'] == second[0]['loss']
    assert first[0]['scale'] == second[0]['scale'] != 1.0


def test_samplers_part_when_the_loss_has_left_its_margin(tiny, tmp_path, monkeypatch):
    import parting_claim as parting
    from claims.results import Results

    rows, roots = parting.TABLES['alike'], dict.fromkeys(tiny.DOMAINS, tmp_path)
    adam, leaving, pk, gs = (parting.small_config(row, roots, Path('start.pth'), 0) for row in rows)
    assert adam.load_from is None and adam.model.backbone.init_cfg.checkpoint == 'start.pth'
    assert leaving.load_from == pk.load_from == gs.load_from == 'start.pth' and pk.model.backbone.init_cfg is None
    assert gs.train_dataloader.sampler.pop('warmup') == 0 and pk.train_dataloader.sampler.pop('warmup') == 4
    pk.custom_hooks = gs.custom_hooks
    assert pk.to_dict() == gs.to_dict() and pk.optim_wrapper == leaving.optim_wrapper != adam.optim_wrapper
    assert parting.definition(rows[3]) != parting.definition(parting.TABLES['distinct'][3])

    for name, value in dict(MOST=3, LEFT=1000.0, EPOCHS=1).items():  # so one epoch is enough
        monkeypatch.setattr(parting, name, value)
    monkeypatch.setattr(tiny, 'PUBLISHED', [replace(row, batch=8) for row in tiny.PUBLISHED])
    monkeypatch.setattr(tiny, 'PK_QACONV', replace(tiny.PK_QACONV, batch=8))
    results = Results(tmp_path / 'results.jsonl', 'tiny')
    parting.run_seed(0, rows, tmp_path, None, results)
    runs = {line['row']: line for line in results.lines}
    assert [len(runs[row.name]['epochs']) for row in rows] == [1, 1, 1, 1]
    shown = parting.report('alike', rows, parting.of_table(rows, results.lines, [0]))
    assert '\n| graph sampling' in shown and 'mAP of graph sampling above random identities: default' in shown


def test_times_to_equal_map_by_the_number_of_classes(tiny, tmp_path, monkeypatch):
    import growth_claim as growth
    from claims.results import Results

    roots = dict.fromkeys(tiny.DOMAINS, tmp_path)
    sampled, remembered = (growth.small_config(row, roots, None, 0) for row in growth.ROWS[:2])
    assert remembered.train_cfg.max_epochs == 8 and remembered.train_dataloader.batch_sampler.batches_per_epoch == 750
    assert sampled.optim_wrapper.matcher.clip_grad.max_norm == 8.0
    assert remembered.model.head.loss_memory.size == sampled.model.matcher.size == (4, 2)
    assert all(step.get('crop_size', (64, 32)) == (64, 32) for step in sampled.train_dataloader.dataset.pipeline)
    assert sampled.val_dataloader == sampled.test_dataloader[0]

    monkeypatch.setattr(growth, 'IMAGES', 96)
    monkeypatch.setattr(growth, 'TESTS', 2)
    rows = [growth.Row(replace(kind, batch=8), 8) for kind in (growth.SAMPLED, growth.REMEMBERED)]
    results = Results(tmp_path / 'results.jsonl', 'tiny')
    growth.run_seed(0, rows, tmp_path, None, results)
    runs = {line['row']: line for line in results.lines}
    assert [epoch['iterations'] for epoch in runs['class memory, 8 classes']['epochs']] == [6, 6]
    assert [epoch['iterations'] for epoch in runs['graph sampling, 8 classes']['epochs']] == [2, 2]

    def way(*reached):
        return [dict(iterations=5, seconds=5.0 * n, mAP=mAP) for n, mAP in enumerate(reached, 1)]

    lines = [
        dict(line(row.name, 0, 1.0, epochs), definition=growth.definition(row))
        for row, epochs in zip(rows, (way(20, 40), way(10, 15, 30)), strict=True)
    ]
    shown = growth.report('growth', rows, lines).splitlines()
    assert [row.split('|')[4].strip() for row in shown[2:4]] == ['10', '15']


def test_doubles_are_identities_that_meet_their_cluster():
    from gs_runs import doubles

    clusters = {1: [1, 2, 3], 2: [1, 2, 3], 7: [7], 9: [8, 9]}
    assert doubles(np.array([1, 1, 2, 7, 9, 9]), clusters.__getitem__) == 50.0
    assert doubles(np.array([1, 7]), clusters.__getitem__) == 0.0


def test_finished_runs_are_found_again_and_half_a_line_is_not(tmp_path):
    from claims.results import Results

    path = tmp_path / 'results.jsonl'
    Results(path, 'now').add(0, 'GS', definition='K=4', value=5.0)
    Results(path, 'other').add(1, 'GS', value=6.0)
    with path.open('a') as file:
        file.write('\n{"settings": "now", "seed": 2, "row"')
    results = Results(path, 'now')
    assert results.find(0, 'GS', definition='K=4')['value'] == 5.0
    assert results.find(0, 'GS', definition='K=2') is None
    assert results.find(1, 'GS') is None and results.find(2, 'GS') is None


def test_tables_show_gains_times_and_what_is_never_reached(tmp_path):
    from claims.results import write_section
    from gs_configs import MEMORIES, SAMPLING
    from gs_report import memory, sampling

    epochs = [dict(iterations=5, doubles=share, seconds=5.0 * n, mAP=10.0 * n) for n, share in ((1, 10), (2, 50))]
    lines = [line(row, seed, value + seed, epochs) for seed in (0, 1) for row, value in (('PK', 10.0), ('GS', 14.0))]
    text = sampling(SAMPLING, lines)
    assert '14.5 ± 0.7' in text and 'default +4.0 ± 0.0' in text
    assert '| 50.0 ± 0.0 ' in next(row for row in text.splitlines() if row.startswith('| GS'))

    slow = [dict(epoch, mAP=epoch['mAP'] - 5) for epoch in epochs]
    runs = (epochs, slow, [dict(epochs[0], mAP=1.0)])
    found = memory(MEMORIES, [line(row.name, 0, 1.0, run) for row, run in zip(MEMORIES, runs, strict=False)])
    first, second, third = (row.split('|')[4].strip() for row in found.splitlines()[2:5])
    assert (first, second, third) == ('10', '10', '- (1 never)')

    readme = tmp_path / 'README.md'
    readme.write_text('a\n<!-- x -->\nold\n<!-- end of x -->\nb\n')
    write_section(readme, 'x', 'new \\1')
    assert readme.read_text() == 'a\n<!-- x -->\nnew \\1\n<!-- end of x -->\nb\n'
    with pytest.raises(ValueError, match='<!-- y -->'):
        write_section(readme, 'y', 'new')


def test_measurements_run_and_part_of_a_graph_stands_for_all(monkeypatch):
    import graph_speed
    from class_memory_speed import measure_batch, measure_memory

    rows = []
    rank = graph_speed.FeatureScores.rows
    monkeypatch.setattr(graph_speed.FeatureScores, 'rows', lambda self, part: rows.append(part) or rank(self, part))
    part = graph_speed.measure(192, (2, 1), 4, most_pairs=64 * 192)
    assert part['share'] == pytest.approx(1 / 3) and [part.stop - part.start for part in rows] == [64]
    whole = graph_speed.measure(40, None, 4, most_pairs=40 * 40)
    assert whole['share'] == 1 and whole['seconds'] > 0
    with torch.enable_grad():
        for found in (measure_memory(70, 4, 8, (2, 1), repeats=1), measure_batch(8, (2, 1), repeats=1)):
            assert found['seconds'] > 0 and found['mib'] >= 0
