# Copyright (c) mmreid contributors. All rights reserved.
"""A search on two gloo processes against one, with the same global batches."""

import json

import pytest
import torch
from mmengine.hooks import Hook
from tiny_search import search_config, short_search_config
from torch.nn.modules.batchnorm import _BatchNorm
from warm_processes import run_ranks, run_warm

from mmreid.registry import HOOKS

pytestmark = [pytest.mark.dist, pytest.mark.slow]


@HOOKS.register_module()
class NormsInEvalHook(Hook):
    """Keeps batch norms in eval mode: live ones normalize the part of a batch that their rank has.

    Their statistics are set apart, so that the candidates differ and the architecture has a gradient.
    """

    def before_train(self, runner):
        for name, module in runner.model.named_modules():
            if isinstance(module, _BatchNorm) and name.endswith(('visible', 'infrared')):
                module.running_mean.fill_(0.3 if name.endswith('visible') else -0.3)

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        for module in runner.model.modules():
            if isinstance(module, _BatchNorm):
                module.eval()


def write_search(path, work_dir, batch_size, order):
    """Writes a search whose losses are means over identities, so that those of ranks average to that of all."""
    sgd = dict(_delete_=True, type='SGD', momentum=0.9)
    losses = ('ce', 'mmd')
    cfg = search_config(
        work_dir,
        model=dict(
            backbone=dict(planted=None),
            head=dict(weight_losses=losses, arch_losses=losses),
            mutator=dict(relaxation='gumbel', weight_paths='sampled' if order == 'first' else 'mixed'),
        ),
        train_dataloader=dict(batch_size=batch_size, sampler=dict(batches_per_epoch=3)),
        train_cfg=dict(max_epochs=2, warmup_epochs=1, order=order),
        optim_wrapper=dict(weights=dict(optimizer=dict(sgd, lr=0.1)), arch=dict(optimizer=dict(sgd, lr=30.0))),
        default_hooks=dict(checkpoint=dict(type='SafeCheckpointHook', interval=1)),
        custom_hooks=[dict(type='EpochSeedHook'), dict(type='NormsInEvalHook'), dict(type='ArchFreezeHook')],
        custom_imports=dict(imports=['mmreid.registry', 'tiny_search', 'test_dist.test_search_ranks']),
        runner_type='ReIDRunner',
    )
    cfg.pop('experiment_name')
    cfg.dump(path)
    return path


@pytest.mark.parametrize('order', ['first', 'second'])
def test_two_ranks_search_like_one(tmp_path, order):
    run_warm('tools/train.py', write_search(tmp_path / 'one.py', tmp_path / 'one', 32, order))
    two = write_search(tmp_path / 'two.py', tmp_path / 'two', 16, order)
    run_ranks(2, 'tools/train.py', two, '--launcher', 'pytorch')
    one, two = (
        torch.load(tmp_path / folder / 'epoch_2.pth', weights_only=True)['state_dict'] for folder in ('one', 'two')
    )
    assert one['mutator.logits'].abs().max() > 1e-3
    for name, value in one.items():
        torch.testing.assert_close(
            two[name], value, rtol=1e-5, atol=1e-5, msg=lambda text, name=name: f'{name}: {text}'
        )
    assert (tmp_path / 'one/pruned.pth').is_file() and (tmp_path / 'two/pruned.pth').is_file()


def test_fixed_choices_leave_no_parameter_without_gradient(tmp_path):
    """DistributedDataParallel stops at the second iteration if one is; here four come after the freeze."""
    path = write_search(tmp_path / 'two.py', tmp_path / 'two', 16, 'first')
    options = ['--cfg-options', 'train_cfg.max_epochs=4', 'custom_hooks.2.at_epoch=2']
    run_ranks(2, 'tools/train.py', path, '--launcher', 'pytorch', *options)
    states = [torch.load(tmp_path / f'two/epoch_{n}.pth', weights_only=True)['state_dict'] for n in (2, 4)]
    assert all(state['mutator.is_frozen'] for state in states)
    assert torch.equal(*(state['mutator.logits'] for state in states))
    assert not torch.equal(*(state['head.classifier.weight'] for state in states))


def write_short_search(path, work_dir):
    """Writes a search by short trainings of an iteration or two."""
    cfg = short_search_config(
        work_dir,
        train_dataloader=dict(batch_size=32, sampler=dict(batches_per_epoch=1)),
        train_cfg=dict(rounds=[dict(epochs=1, folds=1, new=3), dict(epochs=2, folds=2, keep=1)], min_errors=0),
        runner_type='ReIDRunner',
    )
    cfg.pop('experiment_name')
    cfg.dump(path)
    return path


@pytest.mark.long
def test_two_ranks_share_the_short_trainings_of_one(tmp_path):
    run_warm('tools/train.py', write_short_search(tmp_path / 'one.py', tmp_path / 'one'))
    two = write_short_search(tmp_path / 'two.py', tmp_path / 'two')
    run_ranks(2, 'tools/train.py', two, '--launcher', 'pytorch')
    one, two = (
        [json.loads(line) for line in (tmp_path / folder / 'candidates.jsonl').read_text().splitlines()]
        for folder in ('one', 'two')
    )
    assert len(one) == 5 and [line | dict(seconds=0) for line in one] == [line | dict(seconds=0) for line in two]
    assert (tmp_path / 'one/arch.json').read_bytes() == (tmp_path / 'two/arch.json').read_bytes()
    assert not list(tmp_path.rglob('short_training-*'))
