# Copyright (c) mmreid contributors. All rights reserved.
"""Training with an exemplar memory: who sizes it, what an epoch writes, exact resuming, and what is refused."""

import re

import pytest
import torch
from test_tools.test_resume import assert_same
from test_tools.tool_modules import load_tool
from tiny_config import tiny_config
from tiny_data import write_market, write_styles

from mmreid.engine.hooks import MemoryUpdateHook
from mmreid.models.heads import InvarianceHead
from mmreid.registry import RUNNERS
from mmreid.utils.published import published_weights

MEMORY = 'head.memory.features'


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Two source identities less than target ones; the target is Market-1501's, as is the source's layout here."""
    root = tmp_path_factory.mktemp('data')
    roots = dict(source=write_market(root / 'source', num_train=4, num_test=1, images=1))
    roots['target'] = write_market(root / 'target', num_train=5, num_test=2, images=1)
    roots['larger'] = write_market(root / 'larger', num_train=6, num_test=2, images=1)
    for name in ('target', 'larger'):
        write_styles(dict(type='Market1501', data_root=str(roots[name])))
    return roots


def runner_of(data, work_dir, target='target', **changes):
    cfg = tiny_config('ecn/ecn_resnet50_1xb256-60e_msmt2market-256x128.py', data['target'], work_dir)
    source, real = cfg.train_dataloader.dataset.datasets
    source.update(type='Market1501', data_root=str(data['source']))
    real.data_root = str(data[target])
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=4)
    cfg.default_hooks.checkpoint.update(interval=1, max_keep_ckpts=9)
    cfg.model.head.invariance.update(neighbor_epoch=1, neighbors=dict(k=3))
    cfg.merge_from_dict(changes)
    return RUNNERS.get('ReIDRunner').from_cfg(cfg)


@pytest.fixture(scope='module')
def trained(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp('trained')
    runner = runner_of(data, folder)
    runner.train()
    return folder, runner


def test_the_memory_is_as_large_as_the_target_set_and_is_filled(trained):
    _, runner = trained
    memory = runner.model.head.memory
    norms = memory.features.norm(dim=1)
    assert memory.features.shape == (10, 32) and runner.model.head.classifier.weight.shape == (4, 32)
    assert int((norms > 0).sum()) == 10  # 4 epochs of 2 batches of 4 target images
    torch.testing.assert_close(norms, torch.ones(10))
    assert memory.version == runner.iter == 8 and runner.model.head.invariance.epoch == 3


def test_resuming_is_exact_memory_included(data, trained, tmp_path):
    whole = torch.load(trained[0] / 'epoch_4.pth', weights_only=True)
    resumed = runner_of(data, tmp_path, resume=True, load_from=str(trained[0] / 'epoch_2.pth'))
    resumed.train()
    found = torch.load(tmp_path / 'epoch_4.pth', weights_only=True)
    assert torch.equal(found['state_dict'][MEMORY], whole['state_dict'][MEMORY])
    for part in ('state_dict', 'optimizer', 'param_schedulers'):
        assert_same(found[part], whole[part], part)


def test_resuming_with_another_target_set_is_refused(data, trained, tmp_path):
    checkpoint = trained[0] / 'epoch_2.pth'
    with pytest.raises(ValueError, match='market1501 with 10 images, .*market1501 with 12'):
        runner_of(data, tmp_path, 'larger', resume=True, load_from=str(checkpoint)).train()
    content = torch.load(checkpoint, weights_only=True)
    del content['meta']['trained_with']  # as in files of earlier versions
    torch.save(content, tmp_path / 'old.pth')
    with pytest.raises(ValueError, match='10 slots x 32.*12 target images'):
        runner_of(data, tmp_path, 'larger', resume=True, load_from=str(tmp_path / 'old.pth')).train()


def test_a_memory_of_another_size_than_the_target_set_is_refused(data, tmp_path):
    runner = runner_of(data, tmp_path, model=dict(head=dict(memory=dict(num_slots=7))))
    with pytest.raises(ValueError, match=' 7 slots.* 10 .*num_slots=10'):
        runner.train()


def test_a_fraction_of_the_old_slot_above_1_is_refused(data, tmp_path):
    runner = runner_of(data, tmp_path, train_cfg=dict(max_epochs=102))
    with pytest.raises(ValueError, match='alpha=0.01 .*1.01 .*epoch 102.* 0.0099 '):
        runner.train()
    with pytest.raises(ValueError, match='alpha=1'):
        MemoryUpdateHook(alpha=1)


def test_settings_relative_to_the_run_write_the_same_memory(data, trained, tmp_path):
    expected = torch.load(trained[0] / 'epoch_4.pth', weights_only=True)['state_dict']
    for name, begin in (('whole', None), ('resumed', trained[0] / 'epoch_2.pth')):
        changes = dict(resume=True, load_from=str(begin)) if begin else {}
        runner = runner_of(
            data, tmp_path / name, model=dict(head=dict(invariance=dict(neighbor_epoch=0.25))), **changes
        )
        hook = next(hook for hook in runner.hooks if isinstance(hook, MemoryUpdateHook))
        hook.alpha, hook.alpha_per_run = None, 0.04
        runner.train()
        assert hook.alpha == 0.01 and runner.model.head.invariance.first_neighbor_epoch == 1
        assert_same(torch.load(tmp_path / name / 'epoch_4.pth', weights_only=True)['state_dict'], expected, name)


def test_relative_settings_are_of_the_length_that_a_resumed_run_gets(data, trained, tmp_path):
    begin = dict(resume=True, load_from=str(trained[0] / 'epoch_4.pth'))
    runner = runner_of(
        data,
        tmp_path,
        model=dict(head=dict(invariance=dict(neighbor_epoch=0.5))),
        train_cfg=dict(max_epochs=5),
        **begin,
    )
    hook = next(hook for hook in runner.hooks if isinstance(hook, MemoryUpdateHook))
    hook.alpha_per_run = 0.6
    runner.train()
    assert hook.alpha == 0.6 / 5 and runner.model.head.invariance.first_neighbor_epoch == 3


@pytest.mark.parametrize(
    ('given', 'said'),
    [
        (dict(alpha=0.01, alpha_per_run=0.6), r'alpha=0\.01 and alpha_per_run=0\.6'),
        (dict(alpha_per_run=1.2), r'alpha_per_run=1\.2 of MemoryUpdateHook'),
        (dict(alpha_per_run=float('nan')), 'alpha_per_run=nan'),
    ],
)
def test_relative_growth_that_cannot_be_is_refused(given, said):
    with pytest.raises(ValueError, match=said):
        MemoryUpdateHook(**given)


@pytest.mark.parametrize('epoch', [1.5, -0.1, float('nan')])
def test_a_first_epoch_with_neighbors_outside_of_the_run_is_refused(epoch):
    with pytest.raises(ValueError, match=f'neighbor_epoch of InvarianceHead={epoch}'):
        InvarianceHead(4, 2, memory=dict(type='ExemplarMemory', num_slots=3), invariance=dict(neighbor_epoch=epoch))


def test_a_fraction_needs_the_hook_that_knows_the_run():
    head = InvarianceHead(4, 2, memory=dict(type='ExemplarMemory', num_slots=3), invariance=dict(neighbor_epoch=0.5))
    with pytest.raises(RuntimeError, match=r'neighbor_epoch=0\.5 .* add .*MemoryUpdateHook'):
        head.target_loss(torch.ones(2, 4), torch.tensor([0, 1]))


def test_a_loop_without_epochs_is_refused(data, tmp_path):
    loop = dict(_delete_=True, type='IterBasedTrainLoop', max_iters=4)
    with pytest.raises(ValueError, match='train_cfg .*EpochBasedTrainLoop'):
        runner_of(data, tmp_path, train_cfg=loop).train()


def test_neighbors_that_never_begin_are_warned_of(data, tmp_path):
    runner_of(data, tmp_path, train_cfg=dict(max_epochs=1)).train()
    (log,) = tmp_path.glob('*/*.log')
    assert re.search('epoch 2, .* 1, .*invariance.neighbor_epoch', log.read_text())


def test_a_checkpoint_hook_that_would_lose_a_sharded_memory_is_refused(data, tmp_path):
    runner = runner_of(data, tmp_path, default_hooks=dict(checkpoint=dict(type='mmengine.CheckpointHook')))
    runner.model.head.memory.sharded = True
    with pytest.raises(ValueError, match='sharded .*default_hooks.checkpoint.type=.SafeCheckpointHook'):
        runner.train()


def test_averaging_the_memory_is_refused(data, tmp_path):
    runner = runner_of(data, tmp_path)
    runner.register_hook(dict(type='EMAHook', update_buffers=True))
    with pytest.raises(ValueError, match='update_buffers=True .*EMAHook'):
        runner.train()


def test_averaging_beside_a_sharded_memory_is_refused(data, tmp_path):
    runner = runner_of(data, tmp_path)
    runner.model.head.memory.sharded = True
    runner.register_hook(dict(type='EMAHook'))
    with pytest.raises(ValueError, match='EMAHook .*model.head.memory.sharded=False'):
        runner.train()


def test_training_data_without_a_target_is_refused(data, tmp_path):
    plain = dict(_delete_=True, type='Market1501', data_root=str(data['source']), split='train', pipeline=[])
    loader = dict(dataset=plain, batch_size=4, batch_sampler=dict(_delete_=True, type='RandomImageBatchSampler'))
    runner = runner_of(data, tmp_path, train_dataloader=loader)
    with pytest.raises(TypeError, match="Market1501 .*'SourceTargetDataset'"):
        runner.train()


def test_with_accumulated_gradients_every_step_is_written(data, tmp_path):
    changes = dict(optim_wrapper=dict(accumulative_counts=2), train_cfg=dict(max_epochs=1))
    runner = runner_of(data, tmp_path, **changes)
    runner.train()
    assert runner.model.head.memory.version == 2


def test_a_batch_in_place_of_the_memory_needs_no_slots(data, tmp_path):
    memory = dict(_delete_=True, type='MiniBatchMemory')
    runner = runner_of(data, tmp_path, model=dict(head=dict(memory=memory)), train_cfg=dict(max_epochs=2))
    runner.train()
    assert MEMORY not in runner.model.state_dict() and runner.model.head.invariance.epoch == 1


def test_testing_needs_no_memory(data, trained, tmp_path):
    runner = runner_of(data, tmp_path, load_from=str(trained[0] / 'epoch_4.pth'))
    assert runner.test()['market1501/mAP'] > 0
    assert runner.model.head.memory.features is None


def test_published_weights_have_no_memory(trained, tmp_path, capsys):
    tool = load_tool('model_converters/publish_model.py')
    tool.main([str(trained[0] / 'epoch_4.pth'), str(tmp_path / 'ecn.pth')])
    assert f'left out: {MEMORY}' in capsys.readouterr().out
    (path,) = tmp_path.glob('ecn-????????.pth')
    published = torch.load(path, weights_only=True)
    state = torch.load(trained[0] / 'epoch_4.pth', weights_only=True)['state_dict']
    assert set(published) == {'meta', 'state_dict'} and set(state) - set(published['state_dict']) == {MEMORY}
    assert set(published_weights({'memory.features': torch.ones(1), 'backbone.w': torch.ones(1)})) == {'backbone.w'}
    with pytest.raises(ValueError, match='[.]pth'):
        tool.main([str(path), str(tmp_path / 'ecn')])
