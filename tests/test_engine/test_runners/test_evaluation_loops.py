# Copyright (c) mmreid contributors. All rights reserved.
"""Several test sets in one run, their features in a file, and checkpoints of another trial."""

import copy
from types import SimpleNamespace

import pytest
import torch
from tiny_config import tiny_config
from tiny_data import write_market

from mmreid.engine.runners import ReIDRunner, evaluate_features, save_features
from mmreid.evaluation import ReIDMetric
from mmreid.registry import MODELS

NAME = 'baseline/bot_resnet50_1xb64-120e_market1501-256x128.py'


@pytest.fixture(scope='module')
def market(tmp_path_factory):
    return write_market(tmp_path_factory.mktemp('market'))


def config(market, work_dir):
    cfg = tiny_config(NAME, market, work_dir)
    cfg.train_dataloader.sampler.batches_per_epoch = 1
    cfg.merge_from_dict({'train_cfg.max_epochs': 1, 'default_hooks.checkpoint.interval': 1})
    return cfg


def only_test(cfg, checkpoint=None):
    for name in ('train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler'):
        cfg[name] = None
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
    cfg.load_from = checkpoint
    return cfg


def test_two_test_sets_and_their_features(market, tmp_path):
    cfg = only_test(config(market, tmp_path))
    second = copy.deepcopy(cfg.test_dataloader)
    second.dataset.name = 'again'
    cfg.test_dataloader = [cfg.test_dataloader, second]
    evaluator = dict(type='ReIDMetric', cmc='single_shot', trials=2)
    cfg.test_evaluator = [dict(type='ReIDMetric'), evaluator]
    runner = ReIDRunner.from_cfg(cfg)
    metrics = runner.test()
    assert metrics['average/mAP'] == (metrics['market1501/mAP'] + metrics['again/mAP']) / 2
    assert metrics['market1501/mAP'] == metrics['again/mAP'] and 'average/num_query' not in metrics

    save_features(tmp_path / 'features.pth', runner)
    content = torch.load(tmp_path / 'features.pth', weights_only=True)
    assert [test_set['meta']['dataset_name'] for test_set in content['test_sets']] == ['market1501', 'again']
    again, details = evaluate_features(tmp_path / 'features.pth', cfg.test_evaluator)
    assert again == metrics and details == runner.test_loop.details == {}
    with pytest.raises(ValueError, match='2 test dataloaders need one evaluator config for all, or a list of 2'):
        evaluate_features(tmp_path / 'features.pth', [dict(type='ReIDMetric')] * 3)
    with pytest.raises(ValueError, match='DumpResults cannot be computed from saved features'):
        evaluate_features(tmp_path / 'features.pth', dict(type='mmengine.DumpResults', out_file_path='x.pkl'))
    torch.save(dict(state_dict={}), tmp_path / 'other.pth')
    with pytest.raises(ValueError, match='other.pth holds no features; make it with tools/test.py'):
        evaluate_features(tmp_path / 'other.pth', dict(type='ReIDMetric'))


class SignedMatcher(torch.nn.Module):
    """A matcher with a weight, which is not what a new one starts with."""

    def __init__(self):
        super().__init__()
        self.register_buffer('sign', torch.ones(1))

    def forward(self, query, gallery):
        return self.sign * (query @ gallery.t())


def test_weights_of_the_matcher_come_with_the_features(tmp_path, monkeypatch):
    monkeypatch.setitem(MODELS._module_dict, 'SignedMatcher', SignedMatcher)
    model = SimpleNamespace(matcher=SignedMatcher())
    model.matcher.sign.fill_(-1)
    metric = ReIDMetric()
    metric.matcher = model.matcher
    generator = torch.Generator().manual_seed(0)
    for i in range(20):
        row = dict(pid=i % 3, camid=i % 2, split='query' if i < 6 else 'gallery', sample_idx=i, img_path=f'{i}')
        metric.process(None, [dict(row, feature=torch.randn(5, generator=generator))])
    metrics = metric.evaluate(20)
    loop = SimpleNamespace(pairs=[(None, SimpleNamespace(metrics=[metric]))])
    cfg = SimpleNamespace(model=dict(matcher=dict(type='SignedMatcher')))
    save_features(tmp_path / 'x.pth', SimpleNamespace(test_loop=loop, model=model, cfg=cfg))
    assert evaluate_features(tmp_path / 'x.pth', dict(type='ReIDMetric'))[0] == metrics
    model.matcher.sign.fill_(1)
    save_features(tmp_path / 'y.pth', SimpleNamespace(test_loop=loop, model=model, cfg=cfg))
    assert evaluate_features(tmp_path / 'y.pth', dict(type='ReIDMetric'))[0] != metrics


def test_a_checkpoint_of_another_trial_is_refused(market, tmp_path):
    cfg = config(market, tmp_path / 'run')
    cfg.train_dataloader.dataset.metainfo = dict(trial=3)
    cfg.val_dataloader.dataset.metainfo = dict(trial=1)
    with pytest.raises(ValueError, match='the model is trained on trial 3, but trial 1 of market1501 is to be tested'):
        ReIDRunner.from_cfg(copy.deepcopy(cfg)).train()
    cfg.val_dataloader.dataset.metainfo = dict(trial=3)
    ReIDRunner.from_cfg(copy.deepcopy(cfg)).train()

    checkpoint = str(tmp_path / 'run' / 'epoch_1.pth')
    for trial, allowed in ((1, False), (1, True), (3, False)):
        test = only_test(config(market, tmp_path / 'test'), checkpoint)
        test.test_dataloader.dataset.metainfo = dict(trial=trial)
        test.allow_trial_mismatch = allowed
        runner = ReIDRunner.from_cfg(test)
        if trial == 3 or allowed:
            runner.test()
            continue
        with pytest.raises(ValueError, match='epoch_1.pth was trained on trial 3, but trial 1 .* set trial=3 of'):
            runner.test()
