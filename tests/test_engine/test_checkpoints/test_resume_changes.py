# Copyright (c) mmreid contributors. All rights reserved.
"""A run that is resumed with other data or settings: what is refused, what causes a warning, what takes effect."""

import copy
import logging
import shutil

import pytest
import torch
from mmengine.config import ConfigDict
from test_tools.test_resume import assert_same
from tiny_config import tiny_config
from tiny_data import write_market

from mmreid.datasets import ConcatReIDDataset, Market1501
from mmreid.engine.checkpoints.resume_checks import MAX_LINES, change_lines, find_changes
from mmreid.engine.checkpoints.run_description import KEY, describe_data, describe_run
from mmreid.engine.runners import ReIDRunner

NAME = 'baseline/bot_resnet50_1xb64-120e_market1501-256x128.py'
SCHEDULE = [
    dict(type='LinearLR', start_factor=0.1, end=3, by_epoch=False),
    dict(type='MultiStepLR', milestones=[2], gamma=0.1),
]


@pytest.fixture(scope='module')
def market(tmp_path_factory):
    return write_market(tmp_path_factory.mktemp('market'))


def config(market, work_dir, **changes):
    cfg = tiny_config(NAME, market, work_dir)
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.param_scheduler = copy.deepcopy(SCHEDULE)
    cfg.train_dataloader.sampler.batches_per_epoch = 2
    cfg.default_hooks.checkpoint.update(interval=1, max_keep_ckpts=9)
    cfg.merge_from_dict({'train_cfg.max_epochs': 3, **changes})
    return cfg


@pytest.fixture(scope='module')
def whole(market, tmp_path_factory):
    """A run of three epochs, and its checkpoints."""
    work_dir = tmp_path_factory.mktemp('whole')
    ReIDRunner.from_cfg(config(market, work_dir)).train()
    return work_dir


@pytest.fixture
def log(monkeypatch):
    """Level and text of every log record."""
    records = []
    original = logging.Logger.handle

    def handle(self, record):
        records.append((record.levelname, record.getMessage()))
        return original(self, record)

    monkeypatch.setattr(logging.Logger, 'handle', handle)
    return records


def resumed(market, work_dir, checkpoint, **changes):
    runner = ReIDRunner.from_cfg(config(market, work_dir, resume=True, load_from=str(checkpoint), **changes))
    runner.train()
    return runner


def warnings_of(log):
    return [text for level, text in log if level == 'WARNING' and ' -> ' in text]


def load(path):
    return torch.load(path, weights_only=True)


def assert_same_training(found, expected):
    """Bit for bit, except for the names of the two folders."""
    found, expected = load(found), load(expected)
    for part in ('state_dict', 'optimizer', 'param_schedulers'):
        assert_same(found[part], expected[part], part)
    assert found['meta'][KEY] == expected['meta'][KEY]


def edited(checkpoint, path, **meta):
    content = load(checkpoint)
    content['meta'].update(meta)
    torch.save(content, path)
    return path


def test_without_a_change_it_is_exact_and_silent_wherever_the_data_lies(market, whole, tmp_path, log):
    moved = shutil.copytree(market, tmp_path / 'elsewhere/moved')
    resumed(moved, tmp_path / 'run', whole / 'epoch_1.pth')
    assert warnings_of(log) == []
    assert_same_training(tmp_path / 'run/epoch_3.pth', whole / 'epoch_3.pth')


def test_what_may_change_freely_is_silent(market, whole, tmp_path, log):
    changes = {
        'train_dataloader.num_workers': 1,
        'train_dataloader.pin_memory': False,
        'train_cfg.val_interval': 7,
        'default_hooks.logger.interval': 1,
        'model.backbone.init_cfg': None,
        'log_level': 'DEBUG',
    }
    resumed(market, tmp_path, whole / 'epoch_2.pth', **changes)
    assert warnings_of(log) == []


@pytest.mark.parametrize('kind', ['more', 'fewer', 'label', 'renamed'])
def test_other_data_is_refused(market, whole, tmp_path, kind):
    data = shutil.copytree(market, tmp_path / 'data')
    train = data / 'bounding_box_train'
    first = train / '0002_c1s1_000002_00.jpg'
    counted = 'market1501 with 36 images, 6 identities, 2 cameras, .*market1501 with {} images'
    if kind == 'more':
        shutil.copy(first, train / '0002_c1s1_000777_00.jpg')
        match = counted.format(37)
    elif kind == 'fewer':
        first.unlink()
        match = counted.format(35)
    else:
        name = '0003_c1s1_000777_00.jpg' if kind == 'label' else '0002_c1s1_000777_00.jpg'
        first.rename(train / name)
        match = 'market1501 .* 36, .*labels'
    with pytest.raises(ValueError, match=rf'epoch_1\.pth .*{match}'):
        resumed(data, tmp_path / 'run', whole / 'epoch_1.pth')


def test_a_new_learning_rate_and_weight_decay_take_effect(market, whole, tmp_path, log):
    new = {'optim_wrapper.optimizer.lr': 0.001, 'optim_wrapper.optimizer.weight_decay': 0.02}
    resumed(market, tmp_path / 'run', whole / 'epoch_1.pth', **new)
    rate, decay = sorted(warnings_of(log))
    assert rate.startswith('optim_wrapper.optimizer.lr: 0.00035 -> 0.001; takes effect: the schedule is computed anew')
    assert decay == 'optim_wrapper.optimizer.weight_decay: 0.0005 -> 0.02; takes effect from here on'

    ReIDRunner.from_cfg(config(market, tmp_path / 'fresh', **new)).train()
    for epoch in (2, 3):
        name = f'epoch_{epoch}.pth'
        found, expected = load(tmp_path / 'run' / name), load(tmp_path / 'fresh' / name)
        for one, other in zip(found['optimizer']['param_groups'], expected['optimizer']['param_groups'], strict=True):
            assert one == other and one['weight_decay'] == 0.02
        assert found['param_schedulers'] == expected['param_schedulers']
    first = load(whole / 'epoch_3.pth')['state_dict']
    assert not torch.equal(found['state_dict']['backbone.conv1.weight'], first['backbone.conv1.weight'])


def test_what_a_changed_setting_says_and_does(market, whole, tmp_path, log):
    runner = resumed(
        market,
        tmp_path,
        whole / 'epoch_2.pth',
        **{
            'train_dataloader.sampler.batches_per_epoch': 3,
            'train_dataloader.batch_sampler.instance_sampler.num_instances': 2,
            'train_cfg.max_epochs': 5,
            'param_scheduler.1.milestones': [4],
            'model.head.loss_cls.label_smooth_val': 0.2,
            'optim_wrapper.accumulative_counts': 2,
            'randomness.seed': 9,
            'custom_hooks': [
                dict(type='EpochSeedHook'),
                dict(type='SyncNormHook'),
                dict(type='ReIDHealthHook'),
                dict(type='ProgressBarHook'),
                dict(type='FreezeHook', modules=['backbone'], end=1),
            ],
        },
    )
    lines = dict(line.split('; ', 1) for line in warnings_of(log))
    counted = 'takes effect from here on; epochs and iterations are counted on'
    anew = 'takes effect: the schedule is computed anew, as if the run had begun with it'
    start = 'EpochSeedHook, SyncNormHook, ReIDHealthHook, ProgressBarHook'
    assert lines == {
        'train_dataloader.sampler.batches_per_epoch: 2 -> 3': counted,
        'train_dataloader.batch_sampler.instance_sampler.num_instances: 4 -> 2': counted,
        'train_cfg.max_epochs: 3 -> 5': 'takes effect: the run ends there, and so do schedules without an end of their '
        'own',
        'param_scheduler[MultiStepLR].milestones: [2] -> [4]': anew,
        'model.head.loss_cls.label_smooth_val: 0.1 -> 0.2': 'takes effect from here on, except for what the weights of '
        'the checkpoint hold',
        'optim_wrapper.accumulative_counts: not set -> 2': 'takes effect from here on',
        'randomness.seed: 0 -> 9': 'does not take effect: the run goes on with its own seed',
        f'custom_hooks.type: {start} -> {start}, FreezeHook': 'takes effect from here on, except for what the '
        'checkpoint holds of the hook',
    }
    assert [text for level, text in log if 'random seed in the checkpoint' in text] == []
    assert (runner.epoch, runner.iter, runner.seed) == (5, 4 + 3 * 3, 0)
    assert runner.train_dataloader.batch_sampler.instance_sampler.num_instances == 2
    assert runner.optim_wrapper._accumulative_counts == 2
    rates = [load(tmp_path / f'epoch_{epoch}.pth')['optimizer']['param_groups'][0]['lr'] for epoch in (3, 4)]
    assert rates == pytest.approx([3.5e-4, 3.5e-5])  # in epoch_2.pth the old milestone had cut it
    seeds = [load(tmp_path / 'epoch_4.pth')['meta'][key] for key in ('seed', KEY)]
    assert seeds[0] == 0 and seeds[1]['config']['randomness.seed'] == '0'


def test_other_optimizers_and_schedulers_take_effect_there_and_back(market, whole, tmp_path, log):
    sgd = {
        'optim_wrapper.optimizer': dict(_delete_=True, type='SGD', lr=0.01, momentum=0.9),
        'param_scheduler': [dict(type='CosineAnnealingLR', T_max=4)],
    }
    resumed(market, tmp_path / 'there', whole / 'epoch_1.pth', **copy.deepcopy(sgd))
    lines = warnings_of(log)
    begins = 'takes effect: the new optimizer begins without the state of the old one'
    assert f"optim_wrapper.optimizer.type: 'Adam' -> 'SGD'; {begins}" in lines
    (line,) = [line for line in lines if line.startswith('param_scheduler.type: LinearLR, MultiStepLR -> CosineAnn')]
    assert line.endswith(
        'as if the run had begun with it; what hooks or validation results have cut so far is not cut again'
    )
    found = load(tmp_path / 'there/epoch_3.pth')['optimizer']
    assert found['param_groups'][0]['lr'] == pytest.approx(0.005)  # halfway after two epochs of four
    assert set(found['state'][0]) == {'momentum_buffer'}
    resumed(market, tmp_path / 'back', tmp_path / 'there/epoch_2.pth')
    found = load(tmp_path / 'back/epoch_3.pth')['optimizer']
    assert found['param_groups'] == load(whole / 'epoch_3.pth')['optimizer']['param_groups']
    assert found['state'][0]['step'] == 2


def test_parameters_in_other_groups_are_refused(market, whole, tmp_path, log):
    groups = {'optim_wrapper.paramwise_cfg': dict(norm_decay_mult=0.0)}
    with pytest.raises(ValueError, match=r'epoch_1\.pth .*optim_wrapper.constructor, paramwise_cfg'):
        resumed(market, tmp_path / 'groups', whole / 'epoch_1.pth', **groups)
    with pytest.raises(ValueError, match=r'epoch_1\.pth .*backbone\.layer1\.2'):
        resumed(market, tmp_path / 'model', whole / 'epoch_1.pth', **{'model.backbone.depth': 34})
    assert warnings_of(log) == []  # nothing takes effect in a run that is refused


def test_the_next_resume_compares_with_what_took_effect(market, whole, tmp_path, log):
    new = {'optim_wrapper.optimizer.lr': 0.001, 'randomness.seed': 9}
    resumed(market, tmp_path / 'run', whole / 'epoch_1.pth', **new)
    log.clear()
    resumed(market, tmp_path / 'again', tmp_path / 'run/epoch_2.pth', **{**new, 'randomness.seed': 0})
    assert warnings_of(log) == []
    assert_same_training(tmp_path / 'again/epoch_3.pth', tmp_path / 'run/epoch_3.pth')


def test_checkpoints_that_say_nothing_are_taken_as_before(market, whole, tmp_path, log):
    old = edited(whole / 'epoch_1.pth', tmp_path / 'old.pth', **{KEY: None})
    resumed(market, tmp_path / 'run', old)
    assert warnings_of(log) == []
    (line,) = [entry for entry in log if 'does not say what it was trained with' in entry[1]]
    assert line[0] == 'INFO'
    assert_same_training(tmp_path / 'run/epoch_3.pth', whole / 'epoch_3.pth')


DATA = dict(name='x', images=1, identities=1, cameras=1, sha256='0')


@pytest.mark.parametrize(
    'found',
    [
        3,
        'text',
        [],
        {},
        dict(data=None, config={}),
        dict(data=[DATA], config=[]),
        dict(data=[DATA], config={'a': 1}),
        dict(data=[DATA], config={1: 'a'}),
        dict(data=[3], config={}),
        dict(data=[dict(DATA, images='many')], config={}),
        dict(data=[dict(DATA, sha256=b'0')], config={}),
        dict(data=[dict(DATA, name=torch.zeros(2))], config={}),
    ],
)
def test_a_description_that_is_none_is_refused(found):
    with pytest.raises(ValueError, match=rf"x\.pth .*meta\['{KEY}'\]"):
        find_changes({KEY: found}, dict(data=[], config={}), 'x.pth')


def test_hostile_text_fills_no_more_than_its_line():
    now = dict(data=[], config={})
    nasty = {f'model.x\n{i}\x1b[31m': 'a\nWARNING all is well\r' + 'b' * 10**5 for i in range(10**4)}
    lines = change_lines(find_changes({KEY: dict(data=[], config=nasty)}, now, 'x.pth'), now['config'])
    assert len(lines) == MAX_LINES + 1 and lines[-1].startswith('9950 more')
    assert all(line.isprintable() and len(line) < 400 for line in lines)
    wrong = dict(DATA, name='\x1b[2J\n' * 999)
    with pytest.raises(ValueError, match=r'x\.pth .* 1 images, 1 identities, 1 cameras') as caught:
        find_changes({KEY: dict(data=[wrong], config={})}, now, 'x.pth')
    assert str(caught.value).isprintable() and len(str(caught.value)) < 600
    assert find_changes('no dict', now, 'x.pth') is None


def test_parts_of_several_data_sets_are_named(tmp_path):
    roots = [write_market(tmp_path / name, num_train=n, num_test=1, images=1) for name, n in (('a', 2), ('b', 3))]

    def describe(*names):
        parts = [
            dict(type='Market1501', data_root=str(root), name=name) for root, name in zip(roots, names, strict=False)
        ]
        return dict(data=describe_data(ConcatReIDDataset(parts)), config={})

    before = describe('a', 'b')
    assert [(entry['name'], entry['images'], entry['identities'], entry['cameras']) for entry in before['data']] == [
        ('a', 4, 2, 2),
        ('b', 6, 3, 2),
    ]
    assert find_changes({KEY: before}, describe('other', 'names'), 'x.pth') == {}
    with pytest.raises(ValueError, match='b with 6 images, .*no such data set'):
        find_changes({KEY: before}, describe('a'), 'x.pth')
    (roots[1] / 'bounding_box_train/0002_c1s1_000002_00.jpg').unlink()
    with pytest.raises(ValueError, match='b with 6 images, 3 identities, 2 cameras, .*b with 5'):
        find_changes({KEY: before}, describe('a', 'b'), 'x.pth')
    alone = Market1501(data_root=str(roots[0]))
    alone.get_subset_(3)
    assert describe_data(alone)[0]['images'] == 3


def test_more_items_of_a_list_are_one_line(market, tmp_path):
    runner = ReIDRunner.from_cfg(config(market, tmp_path))
    old = describe_run(runner)
    runner.cfg.custom_hooks.insert(0, ConfigDict(type='EMAHook', momentum=0.1))
    runner.cfg.train_dataloader.dataset.pipeline.pop(1)
    runner.cfg.train_dataloader.dataset.pipeline[-1].type = torch.nn.Module  # neither text nor the address of an object
    changes = find_changes({KEY: old}, describe_run(runner), 'x.pth')
    assert list(changes) == ['train_dataloader.dataset.pipeline.type', 'custom_hooks.type']
    assert changes['custom_hooks.type'][1].startswith('EMAHook, EpochSeedHook')
    assert changes['train_dataloader.dataset.pipeline.type'][1].endswith(', Module')


ONE_CYCLE = 'does not take effect while OneCycleLR is at work, which takes the rates from its own eta_max'


@pytest.mark.parametrize(
    ('key', 'config', 'one_cycle'),
    [
        ('optim_wrapper.optimizer.lr', {'param_scheduler.type': 'LinearLR, OneCycleLR'}, True),
        ('optim_wrapper.optimizer.lr', {'param_scheduler.type': "'OneCycleLR'"}, True),
        ('auto_scale_lr.base_batch_size', {'param_scheduler.type': 'OneCycleLR'}, True),
        ('optim_wrapper.arch.optimizer.lr', {'param_scheduler.arch.type': 'OneCycleLR'}, True),
        ('optim_wrapper.weights.optimizer.lr', {'param_scheduler.type': 'OneCycleLR'}, True),
        ('optim_wrapper.optimizer.weight_decay', {'param_scheduler.type': 'OneCycleLR'}, False),
        ('param_scheduler[OneCycleLR].eta_max', {'param_scheduler.type': 'OneCycleLR'}, False),
        ('optim_wrapper.weights.optimizer.lr', {'param_scheduler.arch.type': 'OneCycleLR'}, False),
        ('optim_wrapper.optimizer.lr', {'param_scheduler.type': 'CosineAnnealingLR'}, False),
        ('optim_wrapper.optimizer.lr', {}, False),
    ],
)
def test_a_schedule_with_rates_of_its_own_is_told(key, config, one_cycle):
    (line,) = change_lines({key: ('0.1', '0.2')}, config)
    assert (line == f'{key}: 0.1 -> 0.2; {ONE_CYCLE}') == one_cycle
    assert one_cycle or '; takes effect' in line
