# Copyright (c) mmreid contributors. All rights reserved.
"""The benchmark of ADCA: its rows, a small run of each and its table."""

from functools import partial
from pathlib import Path

import pytest
from test_tools.benchmark_scripts import scripts_of

scripts = scripts_of('visible_infrared')


def test_the_second_stage_differs_by_its_aggregation_alone():
    import unlabeled_configs as configs

    first, second, again = (configs.small_config(row, Path('a'), Path('b.pth'), 3) for row in configs.STAGES)
    assert first.model.backbone.init_cfg.checkpoint == 'b.pth' and first.get('load_from') is None
    assert second.load_from == again.load_from == 'b.pth' and second.model.backbone.init_cfg is None
    assert second.model.head.memory.pop('aggregation')
    assert second.to_dict() == again.to_dict()
    again.load_from = first.get('load_from')
    again.model.backbone.init_cfg = first.model.backbone.init_cfg
    assert first.to_dict() == again.to_dict()


@pytest.mark.long
def test_each_stage_starts_from_the_end_of_the_one_before(monkeypatch, tmp_path):
    import torch
    import unlabeled_configs as configs
    from claims import infrared_worlds
    from claims.results import Results
    from unlabeled_claim import report, run_seed

    from mmreid.utils.checkpoint import load_checkpoint_file

    for name, value in dict(train_ids=12, val_ids=2, test_ids=3, images_per_camera=4).items():
        monkeypatch.setitem(infrared_worlds.PLAN, name, value)
    monkeypatch.setattr(configs, 'EPOCHS', 1)

    seeds = []

    def small_config(*given, plain=configs.small_config):
        cfg = plain(*given)
        drawn = dict(type='MultiGalleryBatchSampler', num_instances=4, batches_per_epoch=1)
        for part in cfg.train_dataloader.batch_sampler.parts:
            part.update(batch_size=8, batch_sampler=drawn)
        cfg.train_dataloader.batch_size = 16
        cfg.optim_wrapper.optimizer.lr = 0.0  # so what is saved is what it started from
        cfg.custom_hooks[-1].clustering.update(eps=0.6, min_samples=2)
        seeds.append(len(seeds))
        cfg.randomness = dict(seed=len(seeds))  # initial weights of its own
        return cfg

    monkeypatch.setattr(configs, 'small_config', small_config)
    results = Results(tmp_path / 'results.jsonl', 'tiny')
    run_seed(0, configs.STAGES, tmp_path, None, results)
    runs = {line['row']: line for line in results.lines}
    assert all(0 <= runs[row.name]['mAP'] <= 100 and runs[row.name]['train_seconds'] > 0 for row in configs.STAGES)
    weights = [load_checkpoint_file(path)['state_dict'] for path in sorted(tmp_path.rglob('epoch_1.pth'))]
    assert len(weights) == 3
    name = 'backbone.layer1.0.conv1.weight'
    assert all(torch.equal(weights[0][name], other[name]) for other in weights)
    assert '\n| ADCA, stages 1 and 2' in report('unlabeled', configs.STAGES, results.lines)


def test_runs_that_are_published_make_the_table_again(monkeypatch, tmp_path, capsys):
    import sys

    import infrared_claim
    import unlabeled_configs as configs
    from claims import command_line
    from claims.results import Results
    from claims.worlds import lines_of
    from infrared_configs import ROWS
    from unlabeled_claim import definition, report, run_seed

    folder = tmp_path / 'benchmarks/visible_infrared'
    folder.mkdir(parents=True)
    (folder / 'README.md').write_text('<!-- unlabeled -->\n<!-- end of unlabeled -->\n')
    monkeypatch.setattr(command_line, 'ROOT', tmp_path)
    monkeypatch.setattr(command_line, 'ensure_environment', lambda: None)
    monkeypatch.setattr(command_line, 'warm_start', lambda work_dir, train: Path('weights.pth'))
    measured = {'mAP': 12.3, 'mINP': 2.0, 'Rank-1': 9.0, 'train_seconds': 60.0, 'cpu': 70.0}
    first = tmp_path / 'first'
    first.mkdir()
    results = Results(first / 'results.jsonl', 'these')
    for seed in (50, 51):
        results.add(seed, configs.FIRST.name, definition=definition(configs.FIRST), **measured)
        results.add(seed, configs.FIRST.name, definition='of other settings', **measured)
        results.add(seed, ROWS[4].name, definition=infrared_claim.definition(ROWS[4]), **measured)
        results.add(seed, 'people', cpu=1.0)
    choose = partial(lines_of, definition)

    def compare(work_dir, *options):
        words = ['unlabeled', '--seeds', '50', '--report', '--work-dir', str(work_dir), *options]
        monkeypatch.setattr(sys, 'argv', ['unlabeled_claim.py', *words])
        command_line.compare('', 'visible_infrared', configs.TABLES, lambda _: 'these', run_seed, choose, report)
        return capsys.readouterr().out

    shown = compare(first, '--readme')
    published = (folder / 'unlabeled.jsonl').read_text()
    assert published.count('"seed": 50') == published.count('\n') == 2, 'its run, and its people'
    assert 'other settings' not in published and 'AGW' not in published
    assert '| 12.3 |' in (folder / 'README.md').read_text()
    second = tmp_path / 'second'
    second.mkdir()
    (second / 'results.jsonl').write_text(published)
    assert compare(second) == shown
