# Copyright (c) mmreid contributors. All rights reserved.
"""What can be reproduced: every model with reported numbers, on the user's folders and GPUs; and what is compared."""

import dataclasses
from pathlib import Path

import pytest

from mmreid.apis.reproduction import (
    compare,
    find_kit,
    list_kits,
    make_recipe,
    markdown_report,
    options_of_both,
    recipe_before,
)
from mmreid.apis.reproduction.recipe import keeps_its_batch
from mmreid.apis.reproduction.rehearsal import PLANS, _datasets
from mmreid.apis.reproduction.report import verdict
from mmreid.registry import DATASETS

KITS = {kit.name: kit for kit in list_kits()}
SYSU = 'cmnas-official_resnet50_1xb128-120e_sysu-256x128'


def test_every_method_and_baseline_has_a_kit():
    assert {kit.collection for kit in KITS.values()} == {
        'Strong baseline', 'AGW', 'AGW (two modalities)', 'CAJ', 'SBS', 'OSNet', 'PCB', 'CM-NAS', 'QAConv-GS', 'ECN',
        'ECN++', 'Cluster Contrast', 'SpCL',
    }  # fmt: skip
    assert {kit.name for kit in KITS.values() if 'official' in kit.name} > {SYSU}


def strings(value):
    if isinstance(value, dict):
        return [text for item in value.values() for text in strings(item)]
    if isinstance(value, (list, tuple)):
        return [text for item in value for text in strings(item)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize('name', KITS)
def test_a_recipe_reads_from_the_users_folder_can_be_rehearsed_and_is_tested_where_numbers_are_reported(name):
    kit = KITS[name]
    cfg = make_recipe(kit.config, Path('/mine'))
    texts = [text for key in cfg for text in strings(cfg[key])]
    assert not [text for text in texts if text.startswith('data/')]
    assert [text for text in texts if text.startswith('/mine/')]
    assert {dataset['type'] for dataset in _datasets(cfg)} <= set(PLANS)
    loaders = cfg.test_dataloader if isinstance(cfg.test_dataloader, list) else [cfg.test_dataloader]
    tested = {DATASETS.get(loader.dataset.type).METAINFO['dataset_name'] for loader in loaders}
    assert {part.place.split('/')[0] for part in kit.reported} <= tested
    search = recipe_before('model.arch', kit.config)
    assert (search is not None) == (kit.collection == 'CM-NAS') and (search is None or search.is_file())
    assert recipe_before('load_from', kit.config) is None


def test_what_a_recipe_starts_from_is_made_first_unless_it_is_given():
    assert recipe_before('model.arch', KITS[SYSU].config, {'model.arch': 'config.cfg'}) is None
    adca = find_kit('adca_resnet50_1xb384-50e_regdb-288x144').config
    assert recipe_before('load_from', adca).name == 'adca-stage1_resnet50_1xb384-50e_regdb-288x144.py'
    assert recipe_before('load_from', adca, dict(load_from='mine.pth')) is None


def test_gpus_share_a_batch_except_where_its_identities_belong_together():
    batches = [make_recipe(KITS[SYSU].config, Path('data'), gpus).train_dataloader.batch_size for gpus in (1, 4)]
    assert batches == [128, 32]
    ecn = make_recipe(find_kit('ecn-official*duke2market').config, Path('data'), 4).train_dataloader
    assert ecn.batch_size == 64 and [part.batch_size for part in ecn.batch_sampler.parts] == [32, 32]
    for kit in (find_kit('qaconv-official*randperson'), find_kit('qaconv-gs-v2')):
        qaconv = make_recipe(kit.config, Path('data'), 4)
        assert qaconv.train_dataloader.batch_size == 64 and keeps_its_batch(qaconv)
    with pytest.raises(ValueError, match='3 GPUs .* 128'):
        make_recipe(KITS[SYSU].config, Path('data'), 3)


@pytest.mark.parametrize(
    ('name', 'part', 'most'),
    [
        ('spcl_resnet50_*market1501', 8, 4),
        ('cluster-contrast_resnet50_*msmt17', 32, 4),
        ('spcl-uda*ibna*market2', 8, 4),
        ('adca_resnet50_1xb384-50e_sysu-288x144', 16, 2),
    ],
)
def test_no_gpu_gets_fewer_images_than_the_batch_norms_take_together(name, part, most):
    config = find_kit(name).config
    with pytest.raises(ValueError, match=f'8 GPUs leave {part} of .*ghost_size.* at most {most}'):
        make_recipe(config, Path('data'), 8)
    make_recipe(config, Path('data'), most)


def test_losses_compare_the_images_of_all_gpus():
    """The head gathers if it can, so that its losses must not; otherwise each loss that can."""
    heads = {
        name: [make_recipe(find_kit(name).config, Path('data'), gpus).model.head for gpus in (1, 8)]
        for name in (SYSU, 'agw_resnet50_*sysu', 'sbs_resnet50_*dukemtmc', 'agw_resnet50_*cuhk03np', 'pcb')
    }
    for name in (SYSU, 'agw_resnet50_*sysu'):
        alone, shared = heads[name]
        assert not alone.get('gather') and shared.pop('gather') and shared == alone
    losses = {name: heads[name][1].get('loss_metric') for name in heads}
    assert losses['sbs_resnet50_*dukemtmc'].gather
    assert [loss.get('gather') for loss in losses['agw_resnet50_*cuhk03np']] == [True, None]
    assert heads['pcb'][0] == heads['pcb'][1]


@pytest.mark.parametrize('key', ['model.head.gather', 'model.head.loss_triplet.gather'])
def test_options_decide_what_is_compared(key):
    kit = find_kit('agw_resnet50_*sysu')
    head = make_recipe(kit.config, Path('data'), 2, {key: False}).model.head
    assert [head.get('gather'), head.loss_triplet.get('gather')].count(None) == 1
    assert not head.get('gather') and not head.loss_triplet.get('gather')


def test_options_of_the_second_stage_alone_do_not_reach_the_first():
    adca = find_kit('adca_resnet50_1xb384-50e_regdb-288x144').config
    stage1 = recipe_before('load_from', adca)
    options = {
        'model.head.memory.aggregation.threshold': 0.6,
        'train_cfg.max_epochs': 2,
        'optim_wrapper.clip_grad.max_norm': 1,
    }
    both = options_of_both(options, adca, stage1)
    assert both == {key: value for key, value in options.items() if 'aggregation' not in key}
    cfg = make_recipe(stage1, Path('data'), options=both)
    assert 'aggregation' not in cfg.model.head.memory and cfg.train_cfg.max_epochs == 2


def test_names_may_be_shortened_but_must_be_clear():
    assert find_kit('cmnas-official*sysu').name == SYSU
    assert find_kit('bot_swin-tiny_1xb64-120e_market1501-256x128').reported == ()
    with pytest.raises(ValueError, match='cmnas-official fits 2 recipes: .*regdb.*sysu'):
        find_kit('cmnas-official')
    with pytest.raises(ValueError, match='no recipe nothing; --list'):
        find_kit('nothing')


def results_of(kit, below=0.0):
    return {f'{part.place}/{metric}': value - below for part in kit.reported for metric, value in part.metrics.items()}


def test_a_number_is_reached_up_to_the_tolerance():
    kit = KITS[SYSU]
    assert kit.tolerance == 2.0 and find_kit('bot_resnet50_1xb64-120e_market1501').tolerance == 1.0
    assert all(row.reached for row in compare(kit, [results_of(kit, 1.99)]))
    rows = compare(kit, [dict(results_of(kit), **{'sysu_mm01/all-single/mAP': 57.0})])
    assert [row.reached for row in rows] == [True, False, True, True]
    assert 'Not reached: 1 of 4' in verdict(kit, rows, False) and 'by 3.0' in verdict(kit, rows, False)
    above = compare(kit, [results_of(kit, -5)])
    assert verdict(kit, above, False).startswith('Reached: all 4')
    assert 'mean nothing' in verdict(kit, rows, True)


def test_trials_are_averaged_and_missing_numbers_refused():
    kit = find_kit('cmnas-official*regdb')
    rows = compare(kit, [results_of(kit, 1), results_of(kit, 3)])
    assert [row.measured - row.reported for row in rows] == pytest.approx([-2] * 4)
    assert [row.spread for row in rows] == pytest.approx([2**0.5] * 4)
    for wrong in (None, 'x', float('nan')):
        results = dict(results_of(kit), **{'regdb/t2v/mAP': wrong})
        with pytest.raises(ValueError, match='no number regdb/t2v/mAP'):
            compare(kit, [results])


def test_the_page_says_what_came_out_and_how():
    kit = dataclasses.replace(KITS[SYSU], reported=KITS[SYSU].reported[:1])
    results = {'trial 1': results_of(kit, 1.5)}
    page = markdown_report(kit, compare(kit, list(results.values())), results, dict(machine='mine'))
    assert '| SYSU-MM01, all search, single-shot | mAP | 60.02 | 58.52 | -1.50 |' in page
    assert 'https://github.com/JDAI-CV/CM-NAS' in page and '| machine | mine |' in page
    assert '## All results, trial 1' in page and '| sysu_mm01/all-single/Rank-1 | 60.49 |' in page
    empty = dataclasses.replace(kit, reported=())
    assert 'no reported numbers' in markdown_report(empty, [], {'': dict(mAP=1.0)}, {})
