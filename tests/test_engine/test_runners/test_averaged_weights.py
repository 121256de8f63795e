# Copyright (c) mmreid contributors. All rights reserved.
"""Checkpoints with a second set of weights: trained, tested, published, tested again, fine-tuned."""

import pytest
import torch
from mmengine.hooks import Hook
from test_tools.tool_modules import load_tool
from tiny_config import tiny_config
from tiny_data import repaint, write_market

from mmreid.engine.runners import ReIDRunner
from mmreid.utils.checkpoint import CheckpointError, load_checkpoint_file
from mmreid.utils.load_report import fit_checkpoint

KEY = 'backbone.conv1.weight'
AVERAGES = {
    'averaged': dict(type='EMAHook', momentum=0.3, update_buffers=True),
    'parameters only': dict(type='EMAHook', momentum=0.3),
    'annealed': dict(type='EMAHook', ema_type='MomentumAnnealingEMA', momentum=0.3),
    'stochastic': dict(type='EMAHook', ema_type='StochasticWeightAverage'),
    'of MMEngine': dict(type='mmengine.EMAHook', momentum=0.3, update_buffers=True),
    'overwriting': dict(type='OverwritingEMAHook', momentum=0.3, update_buffers=True),
    'both tested': dict(type='EMAHook', momentum=0.3, evaluate_on_origin=True),
}


class Peek(Hook):
    """Stores the weights that are validated or tested, or that training begins with."""

    priority = 'LOWEST'

    def __init__(self):
        self.seen = None

    def before_test_epoch(self, runner):
        self.seen = runner.model.state_dict()[KEY].clone()

    before_train_epoch = before_test_epoch

    def before_val_epoch(self, runner):
        self.validated = runner.model.state_dict()[KEY].clone()


def config(market, work_dir, average, **options):
    cfg = tiny_config('baseline/bot_resnet50_1xb64-120e_market1501-256x128.py', market, work_dir)
    cfg.train_dataloader.sampler.batches_per_epoch = 2
    cfg.custom_hooks = [*cfg.custom_hooks, *([average] if average else [])]
    cfg.merge_from_dict(
        {'train_cfg.max_epochs': 1, 'train_cfg.val_interval': 1, 'default_hooks.checkpoint.interval': 1, **options}
    )
    return cfg


def run_test(market, work_dir, average, file):
    cfg = config(market, work_dir, average, load_from=str(file))
    for section in ('train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler'):
        cfg[section] = None
    runner = ReIDRunner.from_cfg(cfg)
    peek = Peek()
    runner.register_hook(peek)
    return runner.test(), peek.seen


@pytest.fixture(scope='module')
def market(tmp_path_factory):
    return repaint(write_market(tmp_path_factory.mktemp('market')))


@pytest.mark.parametrize('average', AVERAGES.values(), ids=AVERAGES)
def test_the_average_is_tested_as_it_was_validated(market, tmp_path, average):
    runner, peek = ReIDRunner.from_cfg(config(market, tmp_path, average)), Peek()
    runner.register_hook(peek)
    runner.train()
    validated = {key: runner.message_hub.get_scalar(f'val/{key}').current() for key in ('market1501/mAP',)}
    file = load_checkpoint_file(tmp_path / 'epoch_1.pth')
    trained, averaged = file['ema_state_dict'][f'module.{KEY}'], file['state_dict'][KEY]
    assert not torch.equal(trained, averaged) and 0 < validated['market1501/mAP'] < 100
    if not average.get('evaluate_on_origin'):  # which validates the trained weights, too, and last
        assert torch.equal(peek.validated, averaged)

    metrics, tested = run_test(market, tmp_path / 'test', average, tmp_path / 'epoch_1.pth')
    assert torch.equal(tested, averaged) and metrics['market1501/mAP'] == pytest.approx(validated['market1501/mAP'])

    load_tool('model_converters/publish_model.py').main([str(tmp_path / 'epoch_1.pth'), str(tmp_path / 'out.pth')])
    (published,) = tmp_path.glob('out-*.pth')
    for hook in (average, None):
        again, tested = run_test(market, tmp_path / 'test', hook, published)
        assert torch.equal(tested, averaged) and again == metrics


def test_the_trained_weights_can_be_tested_instead(market, tmp_path):
    ReIDRunner.from_cfg(config(market, tmp_path, AVERAGES['averaged'])).train()
    trained = load_checkpoint_file(tmp_path / 'epoch_1.pth')['ema_state_dict'][f'module.{KEY}']
    origin = dict(AVERAGES['averaged'], evaluate_on_ema=False, evaluate_on_origin=True)
    _, tested = run_test(market, tmp_path / 'test', origin, tmp_path / 'epoch_1.pth')
    assert torch.equal(tested, trained)


@pytest.mark.parametrize('average', ['averaged', 'of MMEngine', 'overwriting', None])
def test_fine_tuning_begins_with_the_average(market, tmp_path, average):
    ReIDRunner.from_cfg(config(market, tmp_path, AVERAGES['averaged'])).train()
    other = write_market(tmp_path / 'data', num_train=4)
    cfg = config(other, tmp_path / 'fine', AVERAGES.get(average), load_from=str(tmp_path / 'epoch_1.pth'))
    runner, peek = ReIDRunner.from_cfg(cfg), Peek()
    runner.register_hook(peek)
    runner.train()
    assert torch.equal(peek.seen, load_checkpoint_file(tmp_path / 'epoch_1.pth')['state_dict'][KEY])


@pytest.mark.parametrize('found', [[1], 'x', None, {}, {1: torch.ones(1)}, {f'module.{KEY}': 7}], ids=str)
def test_averages_that_are_not_weights_are_refused(found):
    with pytest.raises(CheckpointError, match=r'x\.pth: ema_state_dict') as error:
        fit_checkpoint(dict(ema_state_dict=found), {KEY: torch.ones(1)}, 'x.pth')
    assert '\n' not in str(error.value)


def test_averages_that_are_a_list_are_not_tested(market, tmp_path):
    runner = ReIDRunner.from_cfg(config(market, tmp_path / 'run', None))
    torch.save(dict(state_dict=runner.model.state_dict(), ema_state_dict=[1]), tmp_path / 'x.pth')
    with pytest.raises(CheckpointError, match=r'x\.pth: ema_state_dict'):
        run_test(market, tmp_path / 'test', AVERAGES['averaged'], tmp_path / 'x.pth')
